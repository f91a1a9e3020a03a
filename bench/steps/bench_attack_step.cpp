// Speed of attacks: their steps beside the gradients that they are made of, and beside training.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/steps/preset_with.h"
#include "bench/steps/stepper.h"
#include "bench/support/bench_options.h"
#include "experiments/attacks/carlini_wagner.h"
#include "experiments/attacks/ddn.h"
#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/program.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace {

using pal::bench::Stepper;

struct Options {
  std::string arch = "ibinn-mnist";
  std::vector<std::string> fields;
  int64_t batch = 128;
  int64_t steps = 10;
  int64_t rounds = 5;
  std::string policy = "invert";
  std::string device = "cpu";
  std::string precision = "fp32";
  int threads = 0;
  bool json = false;
};

/// What is timed in turns.
class Rivals {
 public:
  Rivals(const Options& options, pal::Device device) : options_(options) {
    pal::ModelConfig config = pal::bench::preset_with(options.arch, options.fields, "--set");
    if (options.precision == "bf16") config.compute = pal::DType::bf16;
    pal::validate(config);
    training_ = config.family == pal::ModelFamily::flow ? "invert" : "recompute";
    pal::expect(pal::bench::is_possible(options.policy, config.family),
                "--policy: {} cannot follow {}", options.arch, options.policy);
    stepper_ = std::make_unique<Stepper>(pal::bench::StepperOptions{config, device, options.batch});
    policies_ = pal::bench::policies_for(options.policy, config, options.batch, device);
    pal::InputSpec input;
    input.mean.assign(static_cast<size_t>(config.channels), 0.5F);
    input.std.assign(static_cast<size_t>(config.channels), 0.25F);
    attacked_ = std::make_unique<pal::AttackedNetwork>(stepper_->model(), input);
    // Images in [0, 1]: those of the stepper are normal.
    batch_.images = pal::Tensor::empty(stepper_->images().shape(), pal::DType::f32, pal::Tag::data,
                                       pal::Device());
    for (int64_t i = 0; i < batch_.images.numel(); ++i)
      batch_.images.data<float>()[i] = 0.25F + 0.5F * static_cast<float>(i % 97) / 97.0F;
    batch_.images = batch_.images.to(device, pal::Tag::stream);
    for (int64_t i = 0; i < options.batch; ++i)
      batch_.goals.push_back({static_cast<int32_t>(i % config.classes),
                              static_cast<int32_t>((i + 1) % config.classes)});
  }

  /// Seconds of `steps` training steps that rebuild what they need.
  double train() {
    return seconds([&] { stepper_->run(training_, options_.steps); });
  }
  /// Of as many gradients of images, one after the other.
  double gradients() {
    stepper_->model().set_policies(policies_);
    const pal::AttackObjective objective = {.loss = pal::AttackLoss::hinge, .weight = 10.0};
    return seconds([&] {
      for (int64_t i = 0; i < options_.steps; ++i)
        stepper_->model().input_gradient(batch_.images, [&](const pal::ModelScores& said) {
          pal::ImageGradients gradients;
          pal::evaluate_objective(objective, {said.classes, said.scores, {}}, batch_.goals,
                                  &gradients);
          return pal::ScoreGradients{gradients.scores, {}};
        });
    });
  }
  /// Of as many steps of the attack of Carlini and Wagner, without the evaluations round them.
  double carlini_wagner() {
    stepper_->model().set_policies(policies_);
    const auto of = [&](int64_t steps) {
      pal::CarliniWagner how = pal::CarliniWagner::converged();
      how.kappa = std::numeric_limits<double>::infinity();
      how.steps = steps;
      return seconds([&] { pal::attack_carlini_wagner(*attacked_, batch_, how); });
    };
    return of(options_.steps + 1) - of(1);
  }
  double ddn() {
    stepper_->model().set_policies(policies_);
    const auto of = [&](int64_t steps) {
      return seconds(
          [&] { pal::attack_ddn(*attacked_, batch_, {.steps = steps, .search = false}); });
    };
    return of(options_.steps + 1) - of(1);
  }

 private:
  template <typename Work>
  double seconds(const Work& work) {
    stepper_->synchronize();
    const auto begin = std::chrono::steady_clock::now();
    work();
    stepper_->synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  const Options& options_;
  std::string training_;
  std::unique_ptr<Stepper> stepper_;
  std::vector<pal::BlockPolicy> policies_;
  std::unique_ptr<pal::AttackedNetwork> attacked_;
  pal::AttackBatch batch_;
};

int run(const Options& options) {
  const pal::Device device = pal::apply_compute_options(
      {.device = options.device, .threads = options.threads, .precision = options.precision});
  Rivals rivals(options, device);
  const std::pair<const char*, double (Rivals::*)()> timed[] = {
      {"training step, rebuilt", &Rivals::train},
      {"gradient of images", &Rivals::gradients},
      {"cw step", &Rivals::carlini_wagner},
      {"ddn step", &Rivals::ddn}};
  std::map<std::string, std::vector<double>> seconds;
  // The first round plans and allocates.
  for (int64_t round = 0; round <= options.rounds; ++round)
    for (const auto& [name, work] : timed) {
      const double took = (rivals.*work)() / static_cast<double>(options.steps);
      if (round > 0) seconds[name].push_back(took);
    }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const auto median = [&](const char* name) {
    std::vector<double>& of = seconds[name];
    std::ranges::sort(of);
    return of[of.size() / 2];
  };
  for (const auto& [name, work] : timed) {
    const double images_per_s = static_cast<double>(options.batch) / median(name);
    const double of_training = median(timed[0].first) / median(name);
    const double of_gradients = median(timed[1].first) / median(name);
    rows.push_back({{"arch", options.arch},
                    {"batch", options.batch},
                    {"policy", name == timed[0].first ? "rebuilt" : options.policy},
                    {"precision", options.precision},
                    {"threads", pal::thread_count()},
                    {"what", name},
                    {"ms", 1e3 * median(name)},
                    {"images_per_s", images_per_s},
                    {"times_training", of_training},
                    {"times_gradients", of_gradients},
                    {"seconds", seconds[name]}});
    if (!options.json)
      pal::print_result(fmt::format(
          "{:<24} {:>9.2f} ms {:>9.1f} images/s  {:.2f} times the training step's, {:.2f} the "
          "gradient's",
          name, 1e3 * median(name), images_per_s, of_training, of_gradients));
  }
  if (options.json) pal::print_result(rows.dump(1));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program("bench_attack_step", [&] {
    CLI::App app(
        "Times steps of attacks in turns with the gradients of images that they are made of, and "
        "with training steps that rebuild activations; medians.",
        "bench_attack_step");
    Options options;
    app.add_option("-a,--arch", options.arch, "preset")->capture_default_str();
    app.add_option("--set", options.fields, "another field of the configuration, as KEY=VALUE");
    app.add_option("-b,--batch-size", options.batch, "images")->capture_default_str();
    app.add_option("--steps", options.steps, "in a row")->capture_default_str();
    app.add_option("--rounds", options.rounds, "in turns")->capture_default_str();
    app.add_option("--policy", options.policy, "what gradients and attacks keep")
        ->capture_default_str();
    app.add_option("--device", options.device, "cpu or cuda[:N]")->capture_default_str();
    app.add_option("--precision", options.precision, "of the subnets: fp32, tf32 (GPU), bf16")
        ->check(CLI::IsMember({"fp32", "tf32", "bf16"}))
        ->capture_default_str();
    app.add_option("--threads", options.threads, "default: all processors");
    app.add_flag("--json", options.json, "figures as a JSON array on stdout");
    if (!pal::parse_bench_options(app, argc, argv)) return 0;
    return run(options);
  });
}
