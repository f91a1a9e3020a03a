#include "layers/checkpoint/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "layers/checkpoint/checkpoint_reader.h"
#include "layers/checkpoint/run_folder.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

Checkpoint example(int64_t step = 7) {
  const Tensor weights = Tensor::empty({4, 3, 3, 2});
  for (int64_t i = 0; i < weights.numel(); ++i)
    weights.data<float>()[i] = static_cast<float>(i + step) * 0.25F;
  const Tensor counter = Tensor::empty({3}, DType::i32);
  counter.fill(static_cast<double>(step));
  return {{{"architecture", "ibinn-mnist"},
           {"configuration", R"({"lr":0.07})"},
           {"step", std::to_string(step)},
           {"epoch", "1"},
           {"samples_seen", "448"},
           {"class_names", R"(["cat","dog"])"}},
          {{"model.weight", weights}, {"rng.counter", counter}}};
}

void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  write_atomic(path, [&](const ByteSink& sink) { sink(bytes); });
}

/// The error of an action that must fail with the given kind.
template <typename Action>
std::string failure(ErrorKind kind, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(Checkpoint, RoundTripKeepsLayoutAndStoresChannelFirst) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.safetensors");
  const Checkpoint saved = example();
  save_checkpoint(path, saved);
  const Checkpoint loaded = load_checkpoint(path);
  EXPECT_EQ(loaded.metadata.at("format"), "palindrome-checkpoint");
  EXPECT_EQ(loaded.metadata.at("format_version"), "1");
  for (const auto& [key, value] : saved.metadata) EXPECT_EQ(loaded.metadata.at(key), value);
  EXPECT_EQ(loaded.integer("samples_seen"), 448);
  EXPECT_THROW(loaded.integer("architecture"), Error);
  EXPECT_EQ(loaded.find("absent"), nullptr);
  EXPECT_EQ(load_header(path).metadata, loaded.metadata);
  for (const auto& [name, tensor] : saved.tensors) {
    const Tensor* found = loaded.find(name);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(found->raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0);
  }
  EXPECT_EQ(SafetensorsFile::read(path).info("model.weight").shape,
            (std::vector<int64_t>{4, 2, 3, 3}));
  save_checkpoint(folder.file("b.safetensors"), loaded);
  EXPECT_EQ(read_file(path), read_file(folder.file("b.safetensors")));
}

TEST(Checkpoint, EveryFlippedBitAndEveryCutIsDetected) {
  const TemporaryFolder folder;
  save_checkpoint(folder.file("a"), example());
  const auto original = read_file(folder.file("a"));
  const std::string path = folder.file("broken");
  for (size_t trial = 0; trial < 500; ++trial) {
    auto bytes = original;
    bytes[trial * bytes.size() / 500] ^= static_cast<uint8_t>(1U << trial % 8);
    write_bytes(path, bytes);
    EXPECT_NE(failure(ErrorKind::data, [&] { load_checkpoint(path); }).find(path),
              std::string::npos);
    bytes.assign(original.begin(),
                 original.begin() + static_cast<std::ptrdiff_t>(trial * original.size() / 500));
    write_bytes(path, bytes);
    failure(ErrorKind::data, [&] { verify_checkpoint(path); });
  }
}

/// A checkpoint whose tensors lie over several windows of the reader: filters, which are transposed,
/// of one and of many pixels and of every width of an item, and what is no filter.
Checkpoint large_example() {
  Checkpoint large = example();
  const auto add = [&](const std::string& name, const Shape& shape, DType dtype) {
    const Tensor tensor = Tensor::empty(shape, dtype);
    auto* const bytes = static_cast<uint8_t*>(tensor.raw());
    for (int64_t i = 0; i < tensor.bytes(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
    large.tensors.emplace_back(name, tensor);
  };
  add("model.wide", {70, 3, 3, 2000}, DType::f32);
  add("model.points", {1100, 1, 1, 1031}, DType::f32);
  add("model.doubles", {5, 3, 1, 7}, DType::f64);
  add("model.halves", {3, 5, 2, 70000}, DType::bf16);
  add("model.levels", {2, 2, 2, 3}, DType::u8);
  add("model.nothing", {0, 3, 3, 2}, DType::f32);
  add("model.row", {1500001}, DType::f32);
  add("model.number", {}, DType::i32);
  return large;
}

TEST(CheckpointReader, FillsTheTargetsInOnePass) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.safetensors");
  const Checkpoint saved = large_example();
  save_checkpoint(path, saved);
  const CheckpointReader reader(path);
  EXPECT_EQ(reader.tensors().size(), saved.tensors.size());
  EXPECT_EQ(reader.find("absent"), nullptr);
  reader.verify();
  std::vector<std::pair<std::string, Tensor>> some;
  for (const auto& [name, tensor] : saved.tensors) {
    ASSERT_EQ(engine_shape(*reader.find(name), path), tensor.shape());
    // Optimizer states stay in the file when a model is read.
    if (name != "model.row") some.emplace_back(name, Tensor::empty(tensor.shape(), tensor.dtype()));
  }
  std::ranges::reverse(some);
  reader.read(some);
  for (const auto& [name, tensor] : some) {
    const Tensor& wanted = *saved.find(name);
    EXPECT_EQ(std::memcmp(tensor.raw(), wanted.raw(), static_cast<size_t>(tensor.bytes())), 0)
        << name;
  }
  const std::vector<std::pair<std::string, Tensor>> ill_shaped = {
      {"model.row", Tensor::empty({1500000})}};
  failure(ErrorKind::usage, [&] { reader.read(ill_shaped); });
}

TEST(CheckpointReader, WhatChangesWhileItIsReadIsAnErrorAndNoSignal) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.safetensors");
  save_checkpoint(path, large_example());
  const CheckpointReader replaced(path);
  save_checkpoint(path, example());
  EXPECT_NO_THROW(replaced.verify()) << "the file that was opened is still there";
  save_checkpoint(path, large_example());
  const CheckpointReader changed(path);
  auto bytes = read_file(path);
  bytes.back() ^= 1;
  {
    std::ofstream in_place(path, std::ios::in | std::ios::out | std::ios::binary);
    in_place.seekp(static_cast<std::streamoff>(bytes.size() - 1));
    in_place.put(static_cast<char>(bytes.back()));
  }
  EXPECT_NE(failure(ErrorKind::data, [&] { changed.verify(); }).find("digest"), std::string::npos);
  fs::resize_file(path, bytes.size() / 2);
  EXPECT_NE(failure(ErrorKind::data, [&] { changed.verify(); }).find("the file ends here"),
            std::string::npos);
}

TEST(Checkpoint, ForeignNewerAndIncompleteFilesAreRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const auto error_with = [&](const std::string& key, const std::string& value) {
    auto metadata = example().metadata;
    metadata["format"] = "palindrome-checkpoint";
    metadata["format_version"] = "1";
    if (value.empty())
      metadata.erase(key);
    else
      metadata[key] = value;
    write_safetensors(path, metadata, example().tensors);
    return failure(ErrorKind::data, [&] { load_checkpoint(path); });
  };
  EXPECT_NE(error_with("format", "other").find("not a Palindrome checkpoint"), std::string::npos);
  EXPECT_NE(error_with("format_version", "12").find("version 12, this program reads up to 1"),
            std::string::npos);
  EXPECT_NE(error_with("format_version", "x").find("no valid format_version"), std::string::npos);
  EXPECT_NE(error_with("class_names", "").find("no metadata class_names"), std::string::npos);
  Checkpoint incomplete = example();
  incomplete.metadata.erase("step");
  failure(ErrorKind::usage, [&] { save_checkpoint(path, incomplete); });
  failure(ErrorKind::data, [&] { load_checkpoint(folder.file("absent")); });
}

TEST(Checkpoint, AFailedWriteLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  save_checkpoint(path, example(1));
  const auto before = read_file(path);
  failure(ErrorKind::environment, [&] { save_checkpoint("/proc/a.safetensors", example(2)); });
  Checkpoint broken = example(2);
  broken.tensors.emplace_back("none", Tensor());
  failure(ErrorKind::usage, [&] { save_checkpoint(path, broken); });
  EXPECT_EQ(read_file(path), before);
}

TEST(Checkpoint, ResumeTakesTheNewestWholeOne) {
  const TemporaryFolder folder;
  EXPECT_FALSE(find_resume(folder.path()).has_value());
  make_folders(folder.file("checkpoints"));
  for (const int64_t step : {5, 10, 90, 100})
    save_checkpoint(step_checkpoint_path(folder.path(), step), example(step));
  write_atomic(folder.file("checkpoints/step-x.safetensors"), "not one of ours");
  EXPECT_EQ(find_resume(folder.path()), step_checkpoint_path(folder.path(), 100));
  auto bytes = read_file(step_checkpoint_path(folder.path(), 100));
  bytes.back() ^= 1;
  write_bytes(step_checkpoint_path(folder.path(), 100), bytes);
  write_atomic(step_checkpoint_path(folder.path(), 90), "");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(find_resume(folder.path()), step_checkpoint_path(folder.path(), 10));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("step-100.safetensors"), std::string::npos);
  EXPECT_NE(log.find("step-90.safetensors"), std::string::npos);
  for (const int64_t step : {5, 10}) write_atomic(step_checkpoint_path(folder.path(), step), "");
  ::testing::internal::CaptureStderr();
  EXPECT_THROW((void)find_resume(folder.path()), Error);
  ::testing::internal::GetCapturedStderr();
}

TEST(Checkpoint, PruningKeepsTheNewestAndTheLinkedOnes) {
  const TemporaryFolder folder;
  make_folders(folder.file("checkpoints"));
  for (const int64_t step : {5, 10, 90, 100})
    write_atomic(step_checkpoint_path(folder.path(), step), "x");
  write_atomic(folder.file("checkpoints/final.safetensors"), "x");
  link_atomic("step-100.safetensors", folder.file("checkpoints/last"));
  link_atomic("step-5.safetensors", folder.file("checkpoints/best"));
  prune_checkpoints(folder.path(), 2);
  for (const int64_t step : {5, 90, 100})
    EXPECT_TRUE(fs::exists(step_checkpoint_path(folder.path(), step))) << step;
  EXPECT_FALSE(fs::exists(step_checkpoint_path(folder.path(), 10)));
  EXPECT_TRUE(fs::exists(folder.file("checkpoints/final.safetensors")));
  failure(ErrorKind::usage, [&] { prune_checkpoints(folder.path(), 0); });
}

TEST(Checkpoint, AFolderStandsForItsBestOne) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run");
  const std::string checkpoints = run + "/checkpoints";
  EXPECT_EQ(checkpoint_of(run), run) << "what does not exist is left to the reader";
  EXPECT_FALSE(holds_checkpoints(run));
  make_folders(run);
  EXPECT_FALSE(holds_checkpoints(run));
  EXPECT_EQ(failure(ErrorKind::usage, [&] { checkpoint_of(run); }),
            run + ": a folder without checkpoints; expected a run folder or a checkpoint file");
  make_folders(checkpoints);
  EXPECT_TRUE(holds_checkpoints(run));
  EXPECT_FALSE(holds_checkpoints(checkpoints));
  failure(ErrorKind::usage, [&] { checkpoint_of(run); });
  ::testing::internal::CaptureStderr();
  const auto expect_taken = [&](const std::string& name) {
    EXPECT_EQ(checkpoint_of(run), checkpoints + "/" + name);
    EXPECT_EQ(checkpoint_of(checkpoints), checkpoints + "/" + name);
    EXPECT_TRUE(holds_checkpoints(checkpoints));
    EXPECT_EQ(checkpoint_of(checkpoints + "/" + name), checkpoints + "/" + name);
  };
  write_atomic(checkpoints + "/final.safetensors", "x");
  expect_taken("final.safetensors");
  for (const int64_t step : {9, 10}) write_atomic(step_checkpoint_path(run, step), "x");
  expect_taken("step-10.safetensors");
  link_atomic("step-10.safetensors", checkpoints + "/last");
  expect_taken("last");
  link_atomic("gone.safetensors", checkpoints + "/best");
  expect_taken("last");
  link_atomic("step-9.safetensors", checkpoints + "/best");
  expect_taken("best");
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("/best, which is step-9.safetensors"), std::string::npos) << log;
}

TEST(RunFolder, IsHeldByOneProcess) {
  const TemporaryFolder folder;
  auto run = std::make_unique<RunFolder>(folder.file("run/deep"));
  EXPECT_TRUE(fs::is_directory(run->checkpoints()));
  const std::string text =
      failure(ErrorKind::environment, [&] { RunFolder second(folder.file("run/deep")); });
  EXPECT_NE(text.find("in use by pid " + std::to_string(::getpid())), std::string::npos) << text;
  run.reset();
  RunFolder again(folder.file("run/deep"));
}

TEST(RunFolder, TheLockGoesWithItsOwner) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    new RunFolder(folder.path());
    ::_exit(0);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_NO_THROW(RunFolder(folder.path()));
}

TEST(RunFolder, RefusesPlacesThatCannotBeWritten) {
  const TemporaryFolder folder;
  write_atomic(folder.file("plain"), "text");
  for (const std::string& path :
       {folder.file("plain"), folder.file("plain/x"), std::string("/proc/run")})
    EXPECT_NE(failure(ErrorKind::environment, [&] { RunFolder run(path); }).find(path),
              std::string::npos);
}

TEST(RunFolder, RemovesTheLeftoversOfKilledWriters) {
  const TemporaryFolder folder;
  make_folders(folder.file("checkpoints"));
  write_atomic(folder.file("checkpoints/step-1.safetensors.tmp-pal77"), "half");
  const RunFolder run(folder.path());
  EXPECT_TRUE(fs::is_empty(run.checkpoints()));
}

TEST(RunFolder, MetricsAreRewoundToTheCheckpoint) {
  const TemporaryFolder folder;
  const std::string path = folder.file("metrics.jsonl");
  rewind_metrics(path, 5);
  EXPECT_FALSE(fs::exists(path));
  write_atomic(path,
               "{\"step\":4}\n{\"step\":5}\n{\"step\":6}\n{\"kind\":\"event\"}\nxx\n{\"step\":7");
  rewind_metrics(path, 5);
  const auto bytes = read_file(path);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()),
            "{\"step\":4}\n{\"step\":5}\n{\"kind\":\"event\"}\n");
  // The end of a process at that step, which stays where a complete run becomes longer.
  write_atomic(
      path, "{\"kind\":\"train\",\"step\":5}\n{\"kind\":\"val\",\"step\":5,\"model\":\"final\"}\n");
  EXPECT_EQ(rewind_metrics(path, 5, true), 0);
  EXPECT_EQ(rewind_metrics(path, 5), 1);
  EXPECT_EQ(read_file(path).size(), 26U);
}

}  // namespace
}  // namespace pal
