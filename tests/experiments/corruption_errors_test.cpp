#include "experiments/measures/corruption_errors.h"

#include <gtest/gtest.h>

#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

std::vector<CorruptionCell> cells_of(const std::string& corruption,
                                     const std::vector<double>& errors) {
  std::vector<CorruptionCell> cells;
  for (size_t i = 0; i < errors.size(); ++i)
    cells.push_back({corruption, static_cast<int>(i) + 1, errors[i]});
  return cells;
}

TEST(CorruptionErrors, AreRatiosOfSums) {
  std::vector<CorruptionCell> cells = cells_of("fog", {0.2, 0.4});
  for (const CorruptionCell& cell : cells_of("snow", {0.5, 0.7})) cells.push_back(cell);
  const ReferenceErrors reference{"net", 0.1, {{"snow", 0.8}, {"fog", 0.6}, {"jpeg", 0.5}}};
  const auto errors = corruption_errors(cells, 0.05, &reference);
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors[0].corruption, "fog");
  EXPECT_NEAR(errors[0].mean_error, 0.3, 1e-15);
  EXPECT_NEAR(*errors[0].ce, 0.5, 1e-15);
  EXPECT_NEAR(*errors[0].relative, 0.25 / 0.5, 1e-15);
  EXPECT_NEAR(*errors[1].ce, 0.75, 1e-15) << "by name, whatever the order";
  const CorruptionMeans means = means_of(errors);
  EXPECT_NEAR(means.error, 0.45, 1e-15);
  EXPECT_NEAR(*means.mce, 0.625, 1e-15);
  EXPECT_NEAR(*means.relative_mce, 0.5 * (0.5 + 0.55 / 0.7), 1e-15);
}

TEST(CorruptionErrors, NoMeanOverFewer) {
  std::vector<CorruptionCell> cells = cells_of("fog", {0.2});
  cells.push_back({"spatter", 1, 0.4});
  const auto errors = corruption_errors(cells, 0.1, &alexnet_errors());
  EXPECT_TRUE(errors[0].ce.has_value());
  EXPECT_FALSE(errors[1].ce.has_value()) << "AlexNet has no spatter";
  EXPECT_FALSE(means_of(errors).mce.has_value());
  EXPECT_NEAR(means_of(errors).error, 0.3, 1e-15);
  EXPECT_FALSE(means_of({}).mce.has_value());
  EXPECT_FALSE(corruption_errors(cells, 0.1, nullptr)[0].ce.has_value());
}

TEST(CorruptionErrors, RefusesWhatIsNoGrid) {
  EXPECT_THROW(corruption_errors({{"fog", 1, 0.1}, {"fog", 1, 0.2}}, 0.0, nullptr), Error);
  EXPECT_THROW(corruption_errors({{"fog", 1, 0.1}, {"snow", 2, 0.2}}, 0.0, nullptr), Error);
}

TEST(CorruptionErrors, AlexNetIsItsOwnReference) {
  const ReferenceErrors& alexnet = alexnet_errors();
  std::vector<CorruptionCell> cells;
  for (const auto& [corruption, error] : alexnet.mean)
    for (const double each : {0.9 * error, 1.1 * error})
      cells.push_back({corruption, each < error ? 1 : 2, each});
  const CorruptionMeans means = means_of(corruption_errors(cells, alexnet.clean, &alexnet));
  EXPECT_EQ(alexnet.mean.size(), 15U);
  EXPECT_NEAR(*means.mce, 1.0, 1e-12);
  EXPECT_NEAR(*means.relative_mce, 1.0, 1e-12);
  EXPECT_NEAR(means.error, 0.788993, 1e-6) << "mean of the published figures";
}

TEST(CorruptionErrors, ReferencesAreReadAsTheyAreWritten) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/errors.csv";
  const ReferenceErrors errors{"net", 0.125, {{"fog", 0.25}, {"snow", 1.0}}};
  write_atomic(path, reference_csv(errors));
  const ReferenceErrors again = read_reference_errors(path);
  EXPECT_EQ(again.clean, errors.clean);
  EXPECT_EQ(again.mean, errors.mean);
  const auto refused = [&](const std::string& text, const std::string& words) {
    write_atomic(path, text);
    try {
      read_reference_errors(path);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  };
  refused("", "expected a line clean,ERROR");
  refused("fog,0.5\n", ":1: expected the header");
  refused("corruption,error\nclean,0.1\nfog,1.5\n", ":3: expected a corruption");
  refused("corruption,error\nclean,0.1\nfog\n", ":3: expected a corruption");
  refused("corruption,error\nclean,0.1\nfog,0.5\nfog,0.5\n", ":4: fog a second time");
  refused("corruption,error\nfog,0.5\n", "expected a line clean,ERROR");
}

}  // namespace
}  // namespace pal
