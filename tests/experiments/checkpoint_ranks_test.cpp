// pal-evaluate's and pal-ood's measures of a checkpoint by several ranks, here threads.
#include <gtest/gtest.h>

#include <filesystem>

#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/robustness/image_statistics.h"
#include "layers/models/ib_inn.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_ranks.h"

namespace pal {
namespace {

/// The numbers that an evaluation finds, with all measures that split their images; files are
/// called after `name`.
std::vector<double> numbers_of_run(const std::string& checkpoint, const std::string& name,
                                   Communicator* ranks) {
  EvaluateOptions options;
  options.checkpoints = {checkpoint};
  options.data.dataset = "synthetic:4:61:8:1";
  options.batch_size = 2;
  options.ood = {"noise"};
  options.baseline = true;
  options.outputs = name + ".csv";
  options.latents = name + ".safetensors";
  options.ranks = ranks;
  EvaluatedSets sets(options);
  CheckpointEvaluation evaluation(options, Device(), 0, sets);
  const CheckpointReport report = evaluation.run();
  std::vector<double> numbers;
  for (const EvaluationResult* result : {&report.noisy, &report.clean}) {
    numbers.insert(numbers.end(),
                   {result->summary.acc1, result->summary.loss_x, result->summary.entropy,
                    result->summary.bits_per_dim, result->loss, result->calibration.ece(),
                    result->classwise->ece(), result->classwise->standard_error()});
    for (const ImageResult& image : result->images) numbers.push_back(image.log_density);
  }
  numbers.push_back(report.bits_gaussian.value());
  const OodReport& noise = report.ood.at(0);
  numbers.push_back(noise.rows.at(0).against_clean);
  numbers.insert(numbers.end(), noise.log_densities.begin(), noise.log_densities.end());
  const CheckpointEvaluation::Images foreign = evaluation.foreign_images("inverted", 10);
  const LoadedModel& loaded = evaluation.loaded();
  for (const ImageStatistics& image :
       image_statistics(*loaded.model, loaded.input, *foreign.from.set, foreign.spec, nullptr))
    numbers.insert(numbers.end(), {image.excess, image.distance, image.log_det});
  return numbers;
}

TEST(CheckpointRanks, FindAndWriteTheBitsOfOneProcess) {
  testing::TemporaryFolder folder;
  ModelConfig config = preset("ibinn-mnist");
  config.image_size = 8;
  config.classes = 4;
  config.blocks = {1, 1};
  config.widths = {8, 8};
  const std::string checkpoint = folder.path() + "/model.safetensors";
  save_checkpoint(checkpoint,
                  to_checkpoint(IbInn(config, 3), {{0.3F}, {0.25F}, {"0", "1", "2", "3"}}, {}));
  const std::vector<double> wanted = numbers_of_run(checkpoint, folder.path() + "/one", nullptr);
  // 15 of the 61 images are the test part.
  ASSERT_EQ(wanted.size(), 2U * (8 + 15) + 2 + 15 + 3 * 10);
  std::vector<std::vector<double>> found(3);
  testing::on_ranks(3, [&](Communicator& ranks) {
    const auto r = static_cast<size_t>(ranks.rank());
    // A folder that is missing for all but the first.
    found[r] =
        numbers_of_run(checkpoint, folder.path() + (r == 0 ? "/three" : "/missing/three"), &ranks);
  });
  for (const auto& of_rank : found) EXPECT_EQ(of_rank, wanted);
  constexpr int64_t kMost = int64_t{1} << 24;
  for (const char* ending : {".csv", ".safetensors"})
    EXPECT_EQ(read_file(folder.path() + "/three" + ending, kMost),
              read_file(folder.path() + "/one" + ending, kMost));
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/missing"));
}

}  // namespace
}  // namespace pal
