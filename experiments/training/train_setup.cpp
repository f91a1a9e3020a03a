#include "experiments/training/train_setup.h"

#include <algorithm>
#include <cmath>

#include "experiments/command_line/rank_compute.h"
#include "experiments/measures/metrics.h"
#include "experiments/planning/batch_norm_check.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/free_memory.h"
#include "runtime/log.h"

namespace pal {
namespace {

/// Sets the limit before the data are loaded, and measures what a profile is compared with before
/// memory is counted.
Device prepared_device(const TrainOptions& options, MeasuredRoofs& roofs) {
  const Device device = apply_compute_options(options.compute);
  if (options.profile && !options.dry_run) {
    roofs = measure_roofs(device);
    Profiler::set_roofs(roofs.roofs(options.compute.precision == "bf16"));
    Allocator::of(device).reset_peaks();
  }
  Allocator::of(device).set_limit(options.memory_limit);
  return device;
}

/// Blocks between two kept copies of the stream; 0: none is kept.
int64_t anchor_distance(const TrainSetup& setup) {
  // A float32 stream with float32 subnets drifts too little to matter; with bf16 subnets a value
  // rebuilt in another last bit flips roundings, so the drift is reset every four blocks.
  if (setup.options.stream_anchors < 0)
    return setup.computes_bf16() && !setup.inverted.empty() ? 4 : 0;
  return setup.options.stream_anchors;
}

/// The model's configuration for the images. Where their size is the set's own, a size that does
/// not suit the network is not an option's fault.
ModelConfig fitting_config(const TrainOptions& options, const TrainData& data) {
  const DatasetInfo& images = data.info();
  try {
    return model_config(options, images.height, images.channels, images.classes());
  } catch (const Error& error) {
    const std::string text = error.what();
    if (data.validation_set().in_memory() == nullptr || !text.starts_with("--image-size: ")) throw;
    fail(error.kind(), "--arch: {} has images of {}x{}, which {} does not take: {}", images.name,
         images.height, images.width, options.arch, text.substr(14));
  }
}

/// The largest batch up to that of the options whose plan fits within `limit` bytes; 0: none.
int64_t fitting_batch(const TrainSetup& setup, const MemoryRequest& request, int64_t limit) {
  return largest_batch(setup.options.batch_size + 1, [&](int64_t batch) {
    // What --activation-memory asks for may be met by one batch and not by another.
    try {
      const MemoryPlan plan = plan_memory(setup.model->config(), batch, setup.device, request);
      const int64_t bytes = setup.state_bytes() + plan.copy_bytes + plan.peak_bytes;
      return bytes + bytes / 20 <= limit;  // with what is not planned, such as the images
    } catch (const Error&) {
      return false;
    }
  });
}

/// A way out for a limit that does not hold the steps.
std::string way_out(const TrainSetup& setup, int64_t limit) {
  const MemoryRequest least{MemoryRequest::Kind::min};
  if (setup.state_bytes() < limit) {
    if (const int64_t fits = fitting_batch(setup, setup.options.memory, limit))
      return fmt::format("batches of {} fit", fits);
    if (const int64_t fits = fitting_batch(setup, least, limit))
      return fmt::format("with --activation-memory min batches of {} fit", fits);
  }
  return "not even one image fits; choose a smaller network";
}

/// Refuses a limit, the system's included, that cannot hold what the run needs at least, before it is
/// met in some step.
void expect_memory(const TrainSetup& setup) {
  FreeMemory limit;
  if (setup.options.memory_limit > 0)
    limit = {setup.options.memory_limit, "--memory-limit"};
  else if (setup.device.is_cpu())
    limit = free_memory();
  const int64_t state = setup.state_bytes();
  const MemoryPlan& plan = setup.plan;
  if (limit.bytes == 0 || state + plan.copy_bytes + plan.peak_bytes <= limit.bytes) return;
  fail(
      ErrorKind::environment,
      "{}: {} do not suffice: parameters, gradients and optimizer need {}, the library's copies of "
      "weights {}, activations {} more; {}",
      limit.limited_by, format_bytes(limit.bytes), format_bytes(state),
      format_bytes(plan.copy_bytes), format_bytes(plan.peak_bytes), way_out(setup, limit.bytes));
}

/// Gives the blocks their policies and anchors.
void apply_plan(TrainSetup& setup) {
  setup.model->set_policies(setup.plan.policies);
  if (setup.flow == nullptr) return;
  for (size_t i = 0; i < setup.plan.policies.size(); ++i)
    if (!keeps_input(setup.plan.policies[i].policy)) setup.inverted.push_back(static_cast<int>(i));
  InvertibleChain& blocks = setup.flow->chain();
  ChainOptions chain = blocks.options();
  const int64_t every = anchor_distance(setup);
  for (int64_t i = every; every > 0 && i < blocks.size(); i += every)
    chain.anchors.push_back(static_cast<int>(i));
  blocks.set_options(chain);
}

bool wants_graph(const TrainSetup& setup) {
  const GraphUse wanted = setup.options.cuda_graph;
  if (setup.device.is_cpu()) {
    expect(wanted != GraphUse::on, "--cuda-graph: on needs --device cuda");
    return false;
  }
  const bool possible = !is_learned(setup.model->config().mixing);
  expect(possible || wanted != GraphUse::on,
         "--cuda-graph: a learned mixing is computed on the host in each step; use off");
  const bool whole = setup.options.grad_accum == 1;
  expect(whole || wanted != GraphUse::on, "--cuda-graph: steps in parts are not recorded; use off");
  const bool shared = setup.tensors().in_graphs();
  expect(shared || wanted != GraphUse::on,
         "--cuda-graph: gradients that go through the host are not recorded; use off");
  return wanted != GraphUse::off && possible && whole && shared && !setup.options.profile &&
         setup.options.trace.empty();
}

}  // namespace

TrainSetup::TrainSetup(const TrainOptions& given, const std::string& recipe_text, Ranks& all)
    : ranks(all),
      recipe(recipe_text),
      options(given),
      device(prepared_device(given, roofs)),
      device_ranks(device_communicator(all, given.comm, device)),
      data(given, device) {
  const ModelConfig config = fitting_config(options, data);
  model = build_model(config);
  flow = dynamic_cast<IbInn*>(model.get());
  if (const auto norm = single_value_batch_norm(config, options.batch_size))
    fail(ErrorKind::usage,
         "--batch-size: in batches of {} the batch norm {} sees one value per channel and learns "
         "nothing; use larger batches or pictures",
         options.batch_size, *norm);
  plan = plan_memory(config, options.batch_size, device, options.memory);
  expect_memory(*this);
  model->materialise(options.seed);
  model->to(device);
  if (options.sync_bn) {
    model->synchronise_norms(&tensors());
    if (ranks.alone()) log_info("--sync-bn: one rank alone sees all images anyway");
  }
  optimizer = std::make_unique<Optimizer>(model->parameters(), optimizer_spec(options));
  apply_plan(*this);
  use_graph = wants_graph(*this);
  options.schedule.total_steps = steps_of(options.epochs);
}

int64_t TrainSetup::finetune_steps() const {
  return std::llround(options.finetune_epochs * static_cast<double>(steps_per_epoch()));
}

int64_t TrainSetup::state_bytes() const {
  int64_t values = 0;
  for (const Parameter* p : model->state().parameters) values += p->shape.numel();
  return optimizer_spec(options).state_bytes(values);
}

int64_t TrainSetup::steps_of(double epochs) const {
  return std::max<int64_t>(1, std::llround(epochs * static_cast<double>(steps_per_epoch())));
}

double TrainSetup::bits_per_dim(double nll_joint) const {
  return pal::bits_per_dim(nll_joint, data.info().classes(), model->dims(), data.input().std);
}

}  // namespace pal
