// Steps of several ranks against times that were computed by hand; schedules against what the
// reducer of gradients really sends.
#include "experiments/planning/rank_plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/planning/model_summary.h"
#include "experiments/report/rank_plans.h"
#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
#include "runtime/json.h"
#include "tests/support/numeric.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::expect_error;

/// Between two ranks a sum of b bytes takes b / 100 seconds.
constexpr Link kLink = {100.0, 0.0};

/// 400 bytes of gradients; forward 5 s, backward 10 s, update 1 s.
RankWork work_of(std::vector<RankWork::Completion> completions,
                 std::vector<RankWork::Other> others = {}) {
  return {100, std::move(completions), std::move(others), 5.0, 10.0, 1.0};
}

TEST(RankPlan, RingsSendEachPartTwice) {
  // 2 rounds of 200 bytes; 6 rounds of 100 bytes.
  EXPECT_DOUBLE_EQ(ring_seconds(400, {100.0, 0.5}, 2), 2 * (0.5 + 2.0));
  EXPECT_DOUBLE_EQ(ring_seconds(400, {100.0, 0.5}, 4), 6 * (0.5 + 1.0));
  EXPECT_EQ(ring_seconds(400, {100.0, 0.5}, 1), 0.0);
}

TEST(RankPlan, OneBucketWaitsForAllGradients) {
  const RankWork work = work_of({{"b", 60, 4.0}, {"a", 0, 10.0}});
  // Exactly full, it is sent after the first block; one byte more, with what is left.
  for (const int64_t bucket : {400, 404}) {
    const RankStep step = plan_step(work, {bucket}, kLink, 2);
    ASSERT_EQ(step.sums.size(), 1U);
    EXPECT_EQ(step.sums[0].bytes, 400);
    EXPECT_EQ(step.sums[0].block, bucket == 400 ? "a" : "");
    EXPECT_DOUBLE_EQ(step.sums[0].start, 10.0);
    EXPECT_DOUBLE_EQ(step.sums[0].done, 14.0);
    EXPECT_DOUBLE_EQ(step.exposed, 4.0);
    EXPECT_DOUBLE_EQ(step.seconds, 20.0);
    EXPECT_DOUBLE_EQ(step.efficiency, 0.8);
    EXPECT_EQ(step.wire_bytes, 400);
  }
}

TEST(RankPlan, SumsDuringTheBackwardPassAreHidden) {
  // The last 5 seconds of the pass belong to blocks without parameters.
  const RankStep step =
      plan_step(work_of({{"b", 60, 2.0}, {"a", 0, 5.0}}), {.bucket_bytes = 200}, kLink, 2);
  ASSERT_EQ(step.sums.size(), 2U);
  // 40 numbers after b do not fill a bucket of 50.
  EXPECT_EQ(step.sums[0].begin, 50);
  EXPECT_EQ(step.sums[0].end, 100);
  EXPECT_EQ(step.sums[0].block, "a");
  EXPECT_DOUBLE_EQ(step.sums[0].done, 7.0);
  EXPECT_DOUBLE_EQ(step.sums[1].ready, 5.0);
  EXPECT_DOUBLE_EQ(step.sums[1].start, 7.0);
  EXPECT_DOUBLE_EQ(step.sums[1].done, 9.0);
  EXPECT_DOUBLE_EQ(step.communication, 4.0);
  EXPECT_EQ(step.exposed, 0.0);
  EXPECT_DOUBLE_EQ(step.seconds, 16.0);
  EXPECT_DOUBLE_EQ(step.efficiency, 1.0);
}

TEST(RankPlan, WithoutTellingAllSumsAreExposed) {
  const RankStep step = plan_step(work_of({}), {.bucket_bytes = 160}, kLink, 2);
  ASSERT_EQ(step.sums.size(), 3U);
  EXPECT_EQ(step.sums[2].begin, 0);
  EXPECT_EQ(step.sums[2].bytes, 80);
  EXPECT_DOUBLE_EQ(step.sums[0].start, 10.0);
  EXPECT_DOUBLE_EQ(step.exposed, step.communication);
  EXPECT_DOUBLE_EQ(step.exposed, 4.0);
}

TEST(RankPlan, TheLastBucketAloneIsExposed) {
  const RankWork work = work_of({{"b", 50, 2.0}, {"a", 0, 10.0}});
  const RankStep step = plan_step(work, {.bucket_bytes = 200}, kLink, 2);
  ASSERT_EQ(step.sums.size(), 2U);
  EXPECT_DOUBLE_EQ(step.sums[0].start, 2.0);
  EXPECT_DOUBLE_EQ(step.sums[0].done, 4.0);
  EXPECT_DOUBLE_EQ(step.sums[1].start, 10.0);
  EXPECT_DOUBLE_EQ(step.exposed, 2.0);
  // A slow link keeps it waiting: 2 to 12, 12 to 22.
  EXPECT_DOUBLE_EQ(plan_step(work, {.bucket_bytes = 200}, {20.0, 0.0}, 2).exposed, 12.0);
}

TEST(RankPlan, OtherSumsFollowTheGradients) {
  const RankWork work =
      work_of({{"b", 50, 2.0}, {"a", 0, 5.0}}, {{"numbers", 32}, {"statistics", 16}});
  const RankStep step = plan_step(work, {.bucket_bytes = 200}, {100.0, 0.25}, 4);
  ASSERT_EQ(step.sums.size(), 4U);
  EXPECT_EQ(step.sums[2].what, "numbers");
  EXPECT_DOUBLE_EQ(step.sums[2].ready, 10.0);
  // 6 rounds each: of 0.25 + 0.5 seconds from 2 and 6.5 on, 0.25 + 0.08, 0.25 + 0.04.
  EXPECT_DOUBLE_EQ(step.sums[1].done, 11.0);
  EXPECT_DOUBLE_EQ(step.sums[2].done, 11.0 + 1.98);
  EXPECT_DOUBLE_EQ(step.exposed, 1.0 + 1.98 + 1.74);
  EXPECT_EQ(step.wire_bytes, 2 * 3 * (400 + 48) / 4);
}

TEST(RankPlan, Bf16HalvesTheBytesOfGradients) {
  const RankWork work = work_of({{"b", 50, 2.0}, {"a", 0, 10.0}}, {{"numbers", 32}});
  const RankStep wide = plan_step(work, {.bucket_bytes = 200}, kLink, 2);
  const RankStep narrow = plan_step(work, {.bucket_bytes = 100, .bf16 = true}, kLink, 2);
  ASSERT_EQ(narrow.sums.size(), wide.sums.size());
  for (size_t i : {0, 1}) {
    EXPECT_EQ(narrow.sums[i].begin, wide.sums[i].begin);
    EXPECT_EQ(2 * narrow.sums[i].bytes, wide.sums[i].bytes);
  }
  EXPECT_EQ(narrow.sums[2].bytes, 32);
  EXPECT_EQ(wide.wire_bytes, 432);
  EXPECT_EQ(narrow.wire_bytes, 232);
  // The same bucket holds twice as many numbers.
  EXPECT_EQ(plan_step(work, {.bucket_bytes = 200, .bf16 = true}, kLink, 2).sums.size(), 2U);
}

TEST(RankPlan, OneRankHasNothingToSum) {
  const RankStep step = plan_step(work_of({{"a", 0, 10.0}}, {{"numbers", 32}}), {}, kLink, 1);
  EXPECT_TRUE(step.sums.empty());
  EXPECT_EQ(step.wire_bytes, 0);
  EXPECT_EQ(step.exposed, 0.0);
  EXPECT_EQ(step.seconds, 16.0);
  EXPECT_EQ(step.efficiency, 1.0);
}

TEST(RankPlan, RefusesWhatMakesNoSense) {
  const RankWork work = work_of({});
  const auto refuses = [](const std::string& text, const std::function<void()>& call) {
    expect_error(ErrorKind::usage, text, call);
  };
  refuses("expected at least 1 rank, got 0", [&] { plan_step(work, {}, kLink, 0); });
  refuses("a bandwidth of more than 0", [&] { plan_step(work, {}, {0.0, 0.0}, 2); });
  refuses("a latency of at least 0", [&] { plan_step(work, {}, {1.0, -1.0}, 2); });
  refuses("a latency of at least 0", [&] { plan_step(work, {}, {1.0, std::nan("")}, 2); });
  refuses("3 bytes hold no number", [&] { plan_step(work, {.bucket_bytes = 3}, kLink, 2); });
  refuses("more than 0 seconds, got 0", [] { rank_work(preset("ibinn-mnist"), 1, 0.0); });
}

TEST(RankPlan, SumsThePublishedNetworkHeadFirst) {
  const ModelConfig config = preset("ibinn-imagenet");
  const ModelSummary model = summarize_model(config);
  const RankWork work = rank_work(config, 4, 8.0);
  EXPECT_NEAR(work.seconds(), 8.0, 1e-9);
  // Some blocks are rebuilt, which costs a third pass.
  EXPECT_GT(work.backward, 2.0 * work.forward);
  EXPECT_LT(work.backward, 3.0 * work.forward);
  ASSERT_FALSE(work.completions.empty());
  EXPECT_EQ(work.completions.back().from, 0);
  EXPECT_LE(work.completions.back().seconds, work.backward + 1e-9);

  const RankStep step = plan_step(work, {}, {1.25e9, 5e-5}, 2);
  int64_t end = model.parameters_total, bytes = 0;
  double ready = 0.0;
  for (const PlannedSum& sum : step.sums) {
    EXPECT_GE(sum.ready, ready);
    ready = sum.ready;
    if (sum.end == 0) continue;
    EXPECT_EQ(sum.end, end);
    end = sum.begin;
    bytes += sum.bytes;
  }
  EXPECT_EQ(end, 0);
  EXPECT_EQ(bytes, 4 * model.parameters_total);
  // 88 MB of class means are three buckets of 25 MiB and a part of the next, complete once the
  // last block says so.
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GE(step.sums[i].begin, model.parameters_network);
    EXPECT_EQ(step.sums[i].block, work.completions.front().block);
  }
  EXPECT_LT(step.sums[3].begin, model.parameters_network);
  // Between two ranks each sends what there is, once.
  ASSERT_EQ(work.others.size(), 2U);
  EXPECT_EQ(step.wire_bytes, bytes + work.others[0].bytes + work.others[1].bytes);
}

/// Takes down what is to be summed.
class SumRecorder : public SingleCommunicator {
 public:
  void start_all_reduce(const Tensor& values) override { sums.push_back(values); }
  std::vector<Tensor> sums;
};

/// For a network on two images.
void expect_planned_as_sent(Model& model, const std::vector<int64_t>& buckets) {
  const ModelConfig& config = model.config();
  const Tensor& grads = model.parameters().all_grads();
  const RankWork work = rank_work(config, 2, 1.0);
  EXPECT_EQ(work.gradients, grads.numel());
  const int64_t size = config.image_size;
  const Tensor images = Tensor::zeros({2, size, size, config.channels}, DType::f32, Tag::data);
  const Tensor targets = Tensor::zeros({2, config.classes}, DType::f32, Tag::data);
  for (const int64_t bucket : buckets) {
    const ReductionSpec reduction = {bucket};
    SumRecorder recorder;
    GradientReducer reducer(model, recorder, reduction);
    reducer.begin(false);
    model.forward_backward(images, targets, {});
    const size_t during = recorder.sums.size();
    const Tensor numbers = Tensor::zeros({4}, DType::f64, Tag::workspace);
    reducer.finish({numbers, model.parameters().all_statistics()});

    const RankStep step = plan_step(work, reduction, kLink, 2);
    ASSERT_EQ(step.sums.size(), recorder.sums.size()) << bucket;
    for (size_t i = 0; i < step.sums.size(); ++i) {
      const PlannedSum& sum = step.sums[i];
      EXPECT_EQ(sum.bytes, recorder.sums[i].bytes()) << bucket << " " << i;
      EXPECT_EQ(!sum.block.empty(), i < during) << bucket << " " << i;
      if (sum.end == 0) continue;
      EXPECT_EQ(grads.data<float>() + sum.begin, recorder.sums[i].data<float>()) << i;
    }
  }
}

TEST(RankPlan, SchedulesWhatTheReducerSends) {
  IbInn flow(preset("ibinn-mnist"), 1);
  expect_planned_as_sent(flow, {20'000, int64_t{1} << 16, int64_t{1} << 30});
  ResNet resnet(testing::tiny_resnet(), 1);
  expect_planned_as_sent(resnet, {400, 2'000, int64_t{1} << 30});
}

TEST(RankPlan, IsToldAsTextAndJson) {
  const RankWork work = work_of({{"b", 50, 2.0}, {"a", 0, 10.0}});
  const RankPlans plans("net", work, 8, {.bucket_bytes = 200}, kLink, {1, 2});
  const auto json = parse_json(plans.json());
  EXPECT_EQ(json["plans"][0]["sums"].size(), 0U);
  EXPECT_EQ(json["plans"][1]["exposed_seconds"], 2.0);
  EXPECT_EQ(json["plans"][1]["images_per_s"], 16.0 / 18.0);
  EXPECT_EQ(json["plans"][1]["sums"][0]["complete_after"], "b");
  const std::string text = plans.text();
  for (const char* part : {"2000.00  18000.00       0.9      88.9 %", "gradients 50 to 100",
                           "2 ranks: done, ms", "4000.00"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

}  // namespace
}  // namespace pal
