#include "experiments/planning/rank_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/planning/block_levels.h"
#include "experiments/planning/memory_plan.h"
#include "experiments/planning/model_summary.h"
#include "layers/models/model.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kGradientBytes = size_of(DType::f32);

/// TrainStep's loss, negative log-likelihood, cross-entropy and hits, in double.
constexpr int64_t kStepNumberBytes = 4 * size_of(DType::f64);

/// What an update moves for each parameter: gradients are zeroed and read for their norm; SGD reads
/// value, gradient and momentum, and writes value and momentum.
constexpr double kUpdateBytes = 7.0 * kGradientBytes;

bool is_positive(double value) { return std::isfinite(value) && value > 0.0; }

void check(const RankWork& work, const ReductionSpec& reduction, const Link& link, int64_t ranks) {
  expect(ranks >= 1, "rank plan: expected at least 1 rank, got {}", ranks);
  expect(is_positive(link.bandwidth), "rank plan: expected a bandwidth of more than 0, got {}",
         link.bandwidth);
  expect(std::isfinite(link.latency) && link.latency >= 0.0,
         "rank plan: expected a latency of at least 0, got {}", link.latency);
  expect(reduction.bucket_bytes >= kGradientBytes, "bucket: {} bytes hold no number",
         reduction.bucket_bytes);
  expect(is_positive(work.seconds()), "rank plan: expected a step of more than 0 seconds, got {}",
         work.seconds());
}

/// The sums in the order in which GradientReducer and TrainStep start them, without start and end.
std::vector<PlannedSum> schedule(const RankWork& work, const ReductionSpec& reduction) {
  const int64_t width = reduction.bf16 ? size_of(DType::bf16) : kGradientBytes;
  const int64_t bucket = reduction.bucket_bytes / width;
  std::vector<PlannedSum> sums;
  int64_t sent = work.gradients;
  const auto send = [&](int64_t begin, const std::string& block, double ready) {
    sums.push_back({"gradients", begin, sent, (sent - begin) * width, block, ready});
    sent = begin;
  };
  for (const RankWork::Completion& completion : work.completions)
    while (sent - completion.from >= bucket)
      send(sent - bucket, completion.block, completion.seconds);
  while (sent > 0) send(std::max<int64_t>(0, sent - bucket), "", work.backward);
  for (const auto& [what, bytes] : work.others)
    sums.push_back({what, 0, 0, bytes, "", work.backward});
  return sums;
}

int64_t statistic_bytes(const ModelConfig& config) {
  const std::unique_ptr<Model> model = build_model(config);
  model->materialise_meta(Device());
  return model->parameters().all_statistics().bytes();
}

/// How often the backward pass of each block costs its multiply-adds.
std::vector<double> backward_passes(const ModelSummary& model, const MemoryPlan& plan) {
  std::vector<double> passes;
  auto policy = plan.policies.begin();
  for (const BlockSummary& block : model.blocks) {
    passes.push_back(2.0);
    if (!block.has_policy) continue;
    const auto again = static_cast<double>(level_of(block, *policy++, 0.0).recomputed);
    passes.back() +=
        std::min(1.0, again / static_cast<double>(std::max<int64_t>(1, block.multiply_adds)));
  }
  return passes;
}

/// Where blocks begin: in their order, a flow's head behind them (see Model::on_gradients). Blocks
/// without parameters complete nothing, and a ResNet's stem ends with the pass. `seconds` of their
/// backward passes.
std::vector<RankWork::Completion> completions_of(const ModelSummary& model,
                                                 const std::vector<double>& seconds) {
  std::vector<RankWork::Completion> completions;
  const size_t stem = model.config.family == ModelFamily::resnet ? 1 : 0;
  int64_t from = 0;
  for (const BlockSummary& block : model.blocks) from += block.parameters;
  double now = 0.0;
  for (size_t i = model.blocks.size(); i-- > stem;) {
    const BlockSummary& block = model.blocks[i];
    from -= block.parameters;
    now += seconds[i];
    if (block.parameters > 0) completions.push_back({block.name, from, now});
  }
  return completions;
}

}  // namespace

double ring_seconds(int64_t bytes, const Link& link, int64_t ranks) {
  const auto n = static_cast<double>(ranks);
  return 2.0 * (n - 1.0) * (link.latency + static_cast<double>(bytes) / n / link.bandwidth);
}

RankStep plan_step(const RankWork& work, const ReductionSpec& reduction, const Link& link,
                   int64_t ranks) {
  check(work, reduction, link, ranks);
  RankStep step;
  step.ranks = ranks;
  step.seconds = work.seconds();
  if (ranks == 1) return step;
  step.sums = schedule(work, reduction);
  double free = 0.0;  // when the link is
  int64_t bytes = 0;
  for (PlannedSum& sum : step.sums) {
    const double seconds = ring_seconds(sum.bytes, link, ranks);
    sum.start = std::max(sum.ready, free);
    sum.done = free = sum.start + seconds;
    step.communication += seconds;
    bytes += sum.bytes;
  }
  const auto n = static_cast<double>(ranks);
  step.wire_bytes = std::llround(2.0 * (n - 1.0) / n * static_cast<double>(bytes));
  step.exposed = std::max(0.0, free - work.backward);
  step.seconds += step.exposed;
  step.efficiency = work.seconds() / step.seconds;
  return step;
}

RankWork rank_work(const ModelConfig& config, int64_t batch, double seconds) {
  expect(is_positive(seconds), "rank plan: expected a step of more than 0 seconds, got {}",
         seconds);
  const ModelSummary model = summarize_model(config);
  const std::vector<double> passes =
      backward_passes(model, plan_memory(config, batch, Device(), MemoryRequest()));
  const auto images = static_cast<double>(batch);
  std::vector<double> costs;
  for (size_t i = 0; i < passes.size(); ++i)
    costs.push_back(images * passes[i] * static_cast<double>(model.blocks[i].multiply_adds));
  const double forward = images * static_cast<double>(model.multiply_adds);
  const double backward = std::accumulate(costs.begin(), costs.end(), 0.0);
  const double update =
      kUpdateBytes * multiply_adds_per_byte(Device()) * static_cast<double>(model.parameters_total);
  const double scale = seconds / (forward + backward + update);
  for (double& cost : costs) cost *= scale;

  RankWork work;
  work.gradients = model.parameters_total;
  work.completions = completions_of(model, costs);
  work.others = {{"numbers of the step", kStepNumberBytes}};
  if (const int64_t bytes = statistic_bytes(config); bytes > 0)
    work.others.push_back({"running statistics", bytes});
  work.forward = forward * scale;
  work.backward = backward * scale;
  work.update = update * scale;
  return work;
}

}  // namespace pal
