#include "layers/models/model_io.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "layers/training/optimizer.h"
#include "runtime/file.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

ModelConfig tiny_config() {
  ModelConfig config;
  config.image_size = 8;
  config.blocks = {1, 1};
  config.strides = {1, 2};
  config.widths = {4, 4};
  config.classes = 3;
  return config;
}

InputSpec tiny_input() { return {{0.25F}, {0.5F}, {"a", "b", "c"}}; }

TEST(ModelIo, ModelsComeBackAsTheyWere) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/model.safetensors";
  IbInn model(tiny_config(), 7);
  Optimizer sgd(model.parameters());
  sgd.moments()[0].fill(0.5);
  save_checkpoint(path, to_checkpoint(model, tiny_input(), {12, 3, 99}, sgd.flat_states()));

  const LoadedModel loaded = load_model(path);
  EXPECT_EQ(loaded.progress.step, 12);
  EXPECT_EQ(loaded.progress.epoch, 3);
  EXPECT_EQ(loaded.progress.samples_seen, 99);
  EXPECT_EQ(loaded.input.class_names, tiny_input().class_names);
  EXPECT_EQ(loaded.input.mean, tiny_input().mean);
  const Tensor x = testing::random_tensor({2, 8, 8, 1}, DType::f32, 1);
  const NoGradGuard no_grad;
  testing::expect_near(flow_of(loaded, path).forward(Variable(x), Phase::evaluate).y.value(),
                       model.forward(Variable(x), Phase::evaluate).y.value(), 0.0);

  IbInn other(tiny_config(), 8);
  Optimizer fresh(other.parameters());
  load_state(load_checkpoint(path), path, other, fresh.flat_states());
  testing::expect_near(fresh.moments()[0], sgd.moments()[0], 0.0);
  testing::expect_near(other.parameters().all_values(), model.parameters().all_values(), 0.0);
}

TEST(ModelIo, OfADamagedFileItIsSaidThatItIs) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/model.safetensors";
  save_checkpoint(path, to_checkpoint(IbInn(tiny_config(), 7), tiny_input(), {12, 3, 99}));
  auto bytes = read_file(path);
  const std::string wanted = R"(\"widths\")";
  const auto found = std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
  ASSERT_NE(found, bytes.end());
  found[3] = 'x';
  write_atomic(path, [&](const ByteSink& sink) { sink(bytes); });
  testing::expect_error(ErrorKind::data, "does not match its digest", [&] { load_model(path); });
}

TEST(ModelIo, RefusesWhatDoesNotFitAndCopiesNothing) {
  IbInn model(tiny_config(), 7);
  Checkpoint checkpoint = to_checkpoint(model, tiny_input(), {});
  IbInn target(tiny_config(), 8);
  const Tensor before = target.parameters().all_values().clone();

  Checkpoint missing = checkpoint;
  missing.tensors.pop_back();
  testing::expect_error(ErrorKind::data, "is missing",
                        [&] { load_state(missing, "file", target); });
  Checkpoint extra = checkpoint;
  extra.tensors.emplace_back("model.surplus", Tensor::zeros({1}));
  testing::expect_error(ErrorKind::data, "no tensor of this architecture",
                        [&] { load_state(extra, "file", target); });
  Checkpoint bent = checkpoint;
  bent.tensors.back().second = Tensor::zeros({1, 2, 3});
  testing::expect_error(ErrorKind::data, "expected", [&] { load_state(bent, "file", target); });
  testing::expect_near(target.parameters().all_values(), before, 0.0);
}

TEST(ModelIo, AHostileConfigurationTakesNoMemory) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/model.safetensors";
  IbInn model(tiny_config(), 7);
  Checkpoint checkpoint = to_checkpoint(model, tiny_input(), {});
  ModelConfig huge = tiny_config();
  huge.widths = {65536, 65536};
  checkpoint.metadata["configuration"] = to_json(huge);
  save_checkpoint(path, checkpoint);
  const int64_t peak = Allocator::cpu().stats().peak_total;
  testing::expect_error(ErrorKind::data, "expected", [&] { load_model(path); });
  EXPECT_LT(Allocator::cpu().stats().peak_total, peak + (int64_t{16} << 20));
}

}  // namespace
}  // namespace pal
