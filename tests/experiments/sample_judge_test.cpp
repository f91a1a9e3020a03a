#include "experiments/measures/sample_judge.h"

#include <gtest/gtest.h>

#include "tests/support/numeric.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

ModelConfig tiny_config(int64_t classes = 4) {
  ModelConfig config = preset("ibinn-mnist");
  config.image_size = 8;
  config.classes = classes;
  config.blocks = {1, 1};
  config.widths = {8, 8};
  return config;
}

InputSpec tiny_input() { return {{0.5F}, {0.2F}, {"a", "b", "c", "d"}}; }

/// A judge with the weights of the flow that makes the samples.
LoadedModel judge_of(std::vector<std::string> names) {
  LoadedModel judge;
  judge.model = std::make_unique<IbInn>(tiny_config(static_cast<int64_t>(names.size())), 3);
  judge.input = tiny_input();
  judge.input.class_names = std::move(names);
  return judge;
}

struct SampleJudge : ::testing::Test {
  std::vector<ClassVerdict> ask(LoadedModel& judge, SampleRequest request) const {
    for (const int64_t y : request.classes) request.spreads.push_back(model_spread(flow, y));
    return judge_samples(flow, tiny_input(), judge, "judge", request);
  }
  IbInn flow{tiny_config(), 3};
};

TEST_F(SampleJudge, CountsEachClassBySamplesAsked) {
  LoadedModel judge = judge_of({"a", "b", "c", "d"});
  // Class means as they are: the flow knows its own.
  const auto verdicts = ask(judge, {{2, 0, 3}, 11, 0.0, 1, {}});
  ASSERT_EQ(verdicts.size(), 3U);
  EXPECT_EQ(verdicts[0].y, 2);
  EXPECT_EQ(verdicts[0].samples, 4);
  EXPECT_EQ(verdicts[1].samples, 4);
  EXPECT_EQ(verdicts[2].samples, 3);
  for (const ClassVerdict& v : verdicts) {
    EXPECT_EQ(v.as_asked, v.samples) << v.y;
    EXPECT_EQ(v.rival, -1);
    EXPECT_EQ(v.taken_for_rival, 0);
  }
}

TEST_F(SampleJudge, MatchesClassesByName) {
  // The judge calls the flow's class a "b", so that samples of a are taken for b.
  LoadedModel judge = judge_of({"b", "c", "d", "a"});
  const auto verdicts = ask(judge, {{0, 1}, 6, 0.0, 1, {}});
  EXPECT_EQ(verdicts[0].as_asked, 0);
  EXPECT_EQ(verdicts[0].rival, 1);
  EXPECT_EQ(verdicts[0].taken_for_rival, 3);
  EXPECT_EQ(verdicts[1].rival, 2);
  // Numbers alone match by position.
  LoadedModel numbered = judge_of({"0", "1", "2", "3"});
  EXPECT_EQ(ask(numbered, {{1}, 2, 0.0, 1, {}})[0].as_asked, 2);
}

TEST_F(SampleJudge, RefusesAnotherKindOfImagesOrClasses) {
  LoadedModel judge = judge_of({"a", "b", "c", "e"});
  testing::expect_error(ErrorKind::usage, "--judge: the class 'e' of judge is none of", [&] {
    ask(judge, {{0}, 1, 0.0, 1, {}});
  });
  LoadedModel doubled = judge_of({"a", "b", "c", "a"});
  testing::expect_error(ErrorKind::usage, "--judge: the class 'a' of judge is not one of", [&] {
    ask(doubled, {{0}, 1, 0.0, 1, {}});
  });
  LoadedModel fewer = judge_of({"a", "b", "c"});
  testing::expect_error(ErrorKind::usage, "--judge: judge knows 3 classes, the samples have 4",
                        [&] {
                          ask(fewer, {{0}, 1, 0.0, 1, {}});
                        });
  LoadedModel larger = judge_of({"a", "b", "c", "d"});
  ModelConfig config = tiny_config();
  config.image_size = 12;
  larger.model = std::make_unique<IbInn>(config, 3);
  testing::expect_error(ErrorKind::usage, "judge reads images of 12x12x1, the samples are of 8x8x1",
                        [&] {
                          ask(larger, {{0}, 1, 0.0, 1, {}});
                        });
}

}  // namespace
}  // namespace pal
