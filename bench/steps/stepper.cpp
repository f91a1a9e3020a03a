#include "bench/steps/stepper.h"

#include <algorithm>
#include <optional>

#include "bench/support/random_images.h"
#include "experiments/planning/memory_plan.h"
#include "runtime/cuda.h"
#include "runtime/error.h"

namespace pal::bench {
namespace {

constexpr uint64_t kSeed = 1;

/// The policy that a word means for every block; none: it asks for a plan.
std::optional<BlockPolicy> policy_of_all(const std::string& word) {
  for (const ActivationPolicy policy : kActivationPolicies)
    for (const TapeForm form : kTapeForms) {
      std::string name = name_of(BlockPolicy(policy, form));
      std::ranges::replace(name, ' ', '-');
      if (word == name) return BlockPolicy(policy, form);
    }
  return std::nullopt;
}

}  // namespace

std::vector<BlockPolicy> policies_for(const std::string& word, const ModelConfig& config,
                                      int64_t batch, Device device) {
  if (const auto policy = policy_of_all(word)) return {*policy};
  return plan_memory(config, batch, device, MemoryRequest::parse(word)).policies;
}

bool is_possible(const std::string& word, ModelFamily family) {
  const auto policy = policy_of_all(word);
  return !policy || keeps_input(policy->policy) || family == ModelFamily::flow;
}

Stepper::Stepper(const StepperOptions& options)
    : options_(options), model_(build_model(options.model)) {
  expect(options.batch >= 1 && options.batch <= 65536, "batch: expected 1 to 65536, got {}",
         options.batch);
  const ModelConfig& config = options.model;
  model_->materialise(kSeed);
  model_->to(options.device);
  optimizer_ = std::make_unique<Optimizer>(model_->parameters());
  eager_ = std::make_unique<TrainStep>(*model_, *optimizer_, false);
  input_.images =
      random_images({options.batch, config.image_size, config.image_size, config.channels})
          .to(options.device, Tag::data);
  input_.labels = bench::labels(options.batch, config.classes);
  targets_ = one_hot_targets(options.batch, config.classes).to(options.device, Tag::data);
  set_learning_rate(options.learning_rate);
}

void Stepper::set_learning_rate(double rate) {
  input_.update.learning_rate = rate;
  input_.update.learning_rate_means = rate;
}

const std::vector<BlockPolicy>& Stepper::policies_of(const std::string& policy) {
  auto [found, is_new] = policies_.try_emplace(policy);
  if (is_new) found->second = policies_for(policy, options_.model, options_.batch, options_.device);
  return found->second;
}

TrainStep& Stepper::step_of(const std::string& policy) {
  model_->set_policies(policies_of(policy));
  auto& step = steps_[policy];
  if (!step) step = std::make_unique<TrainStep>(*model_, *optimizer_, options_.graph);
  return *step;
}

std::vector<StepResult> Stepper::run(const std::string& policy, int64_t count) {
  TrainStep& step = step_of(policy);
  StepInput input = input_;
  // As in pal-train images are written where a graph reads them.
  if (options_.graph) {
    input.images = step.memory_for(input.images.shape());
    input.images.copy_from(input_.images);
  }
  const int most_pending = options_.device.is_cuda() ? 1 : 0;
  std::vector<StepResult> results;
  for (int64_t i = 0; i < count; ++i) {
    step.run(input);
    while (step.pending() > most_pending) results.push_back(step.take());
  }
  while (step.pending() > 0) results.push_back(step.take());
  return results;
}

void Stepper::run_eagerly(const std::string& policy, int64_t count) {
  model_->set_policies(policies_of(policy));
  for (int64_t i = 0; i < count; ++i) {
    eager_->run(input_);
    eager_->take();
  }
}

bool Stepper::by_graph(const std::string& policy) const {
  const auto found = steps_.find(policy);
  return found != steps_.end() && found->second->by_graph();
}

double Stepper::infer() { return model_->evaluate(input_.images, targets_, input_.loss).loss(); }

void Stepper::synchronize() const {
  if (options_.device.is_cuda()) cuda::synchronize();
}

}  // namespace pal::bench
