#include "experiments/inspect/inspect_run.h"

#include <gtest/gtest.h>

#include "experiments/inspect/inspect_diff.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

Checkpoint example(int64_t step, const std::string& validation) {
  Checkpoint checkpoint;
  checkpoint.metadata = {{"architecture", "ibinn-mnist"}, {"configuration", "{}"},
                         {"step", std::to_string(step)},  {"epoch", "1"},
                         {"samples_seen", "448"},         {"class_names", "[]"}};
  if (!validation.empty()) checkpoint.metadata["validation"] = validation;
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor values = Tensor::empty({2});
    values.fill(static_cast<double>(step * i));
    checkpoint.tensors.emplace_back("t" + std::to_string(i), values);
  }
  return checkpoint;
}

/// The line of a text that begins with a word; empty if there is none.
std::string line_of(const std::string& text, const std::string& word) {
  const size_t at = ("\n" + text).find("\n" + word);
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(InspectRun, ListsTheCheckpointsWithTheirValidation) {
  const testing::TemporaryFolder folder;
  const std::string run = folder.file("run");
  const std::string checkpoints = run + "/checkpoints";
  make_folders(checkpoints);
  const auto file = [&](const std::string& name) { return checkpoints + "/" + name; };
  const std::string result =
      R"({"step":9,"ce":0.51234,"acc1":0.8125,"loss_x":-1.5,"bits_per_dim":3.25})";
  save_checkpoint(file("best-ce.safetensors"), example(9, result));
  save_checkpoint(file("step-10.safetensors"), example(10, result));
  save_checkpoint(file("final.safetensors"),
                  example(10, R"({"step":10,"ce":0.25,"acc1":1,"bits_per_dim":null})"));
  save_checkpoint(file("step-2.safetensors"), example(2, "not JSON"));
  write_atomic(file("step-1.safetensors"), "torn");
  write_atomic(run + "/log.txt", "a word");
  write_atomic(run + "/empty.png", "");
  link_atomic("best-ce.safetensors", file("best"));
  link_atomic("step-10.safetensors", file("last"));
  std::vector<std::string> paths = {run + "/log.txt", run + "/empty.png", file("best"),
                                    file("last")};
  for (const char* name : {"best-ce", "final", "step-1", "step-10", "step-2"})
    paths.push_back(file(std::string(name) + ".safetensors"));

  const RunReport report = inspect_run(run, paths, {});
  EXPECT_EQ(report.checkpoint_count, 5U);
  EXPECT_EQ(report.files.size(), 6U) << "the links are left out";
  EXPECT_EQ(report.files[5].file, run + "/empty.png");
  EXPECT_EQ(report.skipped, 1);
  const std::string text = to_text(report);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
  EXPECT_TRUE(contains(text, checkpoints)) << text;
  const std::string best = line_of(text, "best-ce.safetensors");
  for (const char* part : {" 9 ", " 0.5123", " 81.25", " 3.2500", " 20"})
    EXPECT_TRUE(contains(best, part)) << part << " in " << best;
  EXPECT_TRUE(best.ends_with("  best")) << best;
  const std::string last = line_of(text, "step-10.safetensors");
  EXPECT_TRUE(last.ends_with("  last")) << last;
  EXPECT_TRUE(contains(last, "-        -         -"))
      << "the entry is of an earlier step: " << last;
  const std::string final = line_of(text, "final.safetensors");
  EXPECT_TRUE(contains(final, "0.2500")) << final;
  EXPECT_TRUE(contains(final, "100.00")) << final;
  EXPECT_TRUE(final.ends_with(" -")) << final;
  EXPECT_TRUE(line_of(text, "step-1.safetensors").ends_with("broken")) << text;
  EXPECT_TRUE(line_of(text, "step-2.safetensors").ends_with(" -")) << text;
  EXPECT_LT(text.find("step-2."), text.find("best-ce")) << "by step";
  EXPECT_LT(text.find("final."), text.find("step-10.")) << "then by name";

  const FileDifference difference =
      diff_files(file("step-2.safetensors"), file("best-ce.safetensors"));
  ASSERT_EQ(difference.tensors.size(), 2U);
  EXPECT_TRUE(contains(difference.tensors[0], "\"t2\": values differ; largest difference 14"));
  EXPECT_TRUE(contains(difference.tensors[1], "\"t1\": values differ; largest difference 7"));
}

}  // namespace
}  // namespace pal
