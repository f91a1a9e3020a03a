// How far inputs rebuilt by inversion drift from the true ones, and what that does to gradients,
// against depth, precision and anchors.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/support/bench_options.h"
#include "bench/support/random_images.h"
#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/program.h"
#include "kernels/arrays/reduce.h"
#include "layers/slow_coupling.h"
#include "runtime/error.h"

namespace {

using namespace pal;

constexpr uint64_t kSeed = 1;

struct Options {
  std::vector<int64_t> depths = {8, 16, 32, 64, 128};
  std::vector<int64_t> anchors = {0, 16, 8, 4};
  std::vector<std::string> precisions = {"fp32", "bf16"};
  std::vector<double> gains = {0.1};
  int64_t channels = 48;
  int64_t size = 14;
  int64_t batch = 4;
  bool json = false;
  ComputeOptions compute;
};

struct Row {
  std::string precision;
  double gain = 0.0;
  int64_t depth = 0;
  int64_t anchors = 0;
  double drift = 0.0;
  double gradient = 0.0;
};

/// A chain of slow couplings with bottleneck subnets, with a loss of ||y||^2 / 2 - log_det.
class Chain {
 public:
  Chain(const Options& o, int64_t depth, DType compute, double gain, Device device)
      : images_(bench::random_images({o.batch, o.size, o.size, o.channels}).to(device, Tag::data)) {
    CouplingSpec spec;
    spec.compute = compute;
    for (int64_t i = 0; i < depth; ++i)
      chain_.add(std::make_unique<SlowCoupling>(
                     o.channels, spec,
                     [gain](int64_t out) { return bottleneck_subnet(64, out, 1, gain); }),
                 "blocks." + std::to_string(i));
    StateList state;
    chain_.collect(state);
    store_.materialise(state.parameters, DType::f32, kSeed);
    for (int i = 0; i < chain_.size(); ++i) chain_.block(i).initialise(DType::f32, kSeed);
    store_.to(device);
    for (const Buffer& b : state.buffers) *b.tensor = b.tensor->to(device, Tag::parameters);
    for (int i = 0; i < chain_.size(); ++i) chain_.block(i).refresh();
  }

  /// Gradients of the parameters under a policy; the drift of the first block's input goes to
  /// `drift` if the policy rebuilds it.
  Tensor gradients(ActivationPolicy policy, int64_t anchors, double& drift) {
    ChainOptions options{.policies = {policy}, .anchors = {}};
    for (int64_t i = anchors; anchors > 0 && i < chain_.size(); i += anchors)
      options.anchors.push_back(static_cast<int>(i));
    chain_.set_options(options);
    store_.zero_grad();
    chain_.monitor_next(0);
    const DeviceScope device(images_.device());
    const auto result = chain_.forward(Variable(images_), Phase::train);
    const Tensor grad_log_det = Tensor::empty({images_.size(0)}, DType::f64, Tag::stream);
    grad_log_det.fill(-1.0);
    backward({result.y, result.log_det}, {result.y.value(), grad_log_det});
    drift = chain_.last_check().relative_error;
    return store_.all_grads().clone(Tag::gradients);
  }

 private:
  InvertibleChain chain_;
  ParameterStore store_;
  Tensor images_;
};

std::vector<Row> measure(const Options& o, Device device) {
  std::vector<Row> rows;
  for (const std::string& precision : o.precisions)
    for (const double gain : o.gains)
      for (const int64_t depth : o.depths) {
        expect(depth >= 1 && depth <= 4096, "--depths: expected 1 to 4096, got {}", depth);
        Chain chain(o, depth, precision == "bf16" ? DType::bf16 : DType::f32, gain, device);
        double drift = 0.0;
        const Tensor stored = chain.gradients(ActivationPolicy::store, 0, drift);
        for (const int64_t anchors : o.anchors) {
          if (anchors >= depth) continue;
          Row row{precision, gain, depth, anchors};
          const Tensor rebuilt = chain.gradients(ActivationPolicy::invert, anchors, row.drift);
          row.gradient = relative_error(stored, rebuilt);
          rows.push_back(row);
        }
      }
  return rows;
}

void print(const std::vector<Row>& rows, bool json) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  if (!json)
    print_result(fmt::format("{:<9} {:>5} {:>6} {:>8}  {:>12}  {:>14}", "precision", "gain",
                             "blocks", "anchors", "input drift", "gradient error"));
  for (const Row& r : rows) {
    list.push_back({{"precision", r.precision},
                    {"subnet_gain", r.gain},
                    {"blocks", r.depth},
                    {"anchor_every", r.anchors},
                    {"input_drift", r.drift},
                    {"gradient_error", r.gradient}});
    if (!json)
      print_result(fmt::format("{:<9} {:>5} {:>6} {:>8}  {:>12.2e}  {:>14.2e}", r.precision, r.gain,
                               r.depth, r.anchors == 0 ? "none" : std::to_string(r.anchors),
                               r.drift, r.gradient));
  }
  if (json) print_result(list.dump(1));
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("inversion_drift", [&] {
    CLI::App app(
        "Relative error of the first block's rebuilt input, and of all gradients against stored\n"
        "activations, of chains of couplings.",
        "inversion_drift");
    Options o;
    app.add_option("--depths", o.depths, "blocks")->delimiter(',')->capture_default_str();
    app.add_option("--anchors", o.anchors, "keep the stream every so many blocks; 0: never")
        ->delimiter(',')
        ->capture_default_str();
    app.add_option("--precisions", o.precisions, "of the subnets")
        ->delimiter(',')
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    app.add_option("--gains", o.gains, "factors on the subnets' last weights")
        ->delimiter(',')
        ->capture_default_str();
    app.add_option("--size", o.size, "height and width")->capture_default_str();
    app.add_option("--channels", o.channels, "channels")->capture_default_str();
    app.add_option("-b,--batch-size", o.batch, "images")->capture_default_str();
    app.add_flag("--json", o.json, "figures as a JSON array on stdout");
    app.add_option("--device", o.compute.device, "auto, cpu or cuda[:N]")->capture_default_str();
    app.add_option("--threads", o.compute.threads, "default: all processors");
    if (!parse_bench_options(app, argc, argv)) return 0;
    print(measure(o, apply_compute_options(o.compute)), o.json);
    return 0;
  });
}
