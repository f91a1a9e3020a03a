#include "experiments/training/train_report.h"

#include <algorithm>

#include "experiments/command_line/program.h"
#include "experiments/planning/model_summary.h"
#include "experiments/report/text_table.h"
#include "kernels/library/platform.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal {

void print_plan(const TrainSetup& setup) {
  const auto& store = setup.model->parameters();
  const DatasetInfo& images = setup.data.info();
  const ModelSummary summary = summarize_model(setup.model->config());
  print_result(fmt::format(
      "model {} at {}x{}x{}, {} classes: {} blocks, {} network parameters, {} in all",
      setup.model->config().arch, images.height, images.width, images.channels, images.classes(),
      summary.blocks.size(), summary.parameters_network, summary.parameters_total));
  size_t next = 0;
  for (const BlockSummary& block : summary.blocks) {
    print_result(fmt::format("  {:<12} {:<22} {:>20} -> {:<20} {}", block.name, block.kind,
                             block.input.str(), block.output.str(),
                             block.has_policy ? name_of(setup.plan.policies[next++]) : ""));
  }
  print_result(fmt::format("parameters, gradients and momentum: {}; activations: about {} ({})",
                           format_bytes(3 * store.all_values().bytes()),
                           format_bytes(setup.plan.peak_bytes), setup.plan.summary()));
  print_result(fmt::format("{} training and {} validation images, {} steps per epoch, {} steps",
                           setup.data.training().count(), setup.data.validation_images().size(),
                           setup.steps_per_epoch(), RunState().last_step(setup)));
}

void write_run_file(const TrainSetup& setup, const RunFolder& folder, const std::string& command) {
  nlohmann::ordered_json run = {{"program", "pal-train"},
                                {"version", version()},
                                {"command", command},
                                {"device", describe_device(setup.device)},
                                {"library", describe_libraries(setup.device)},
                                {"precision", setup.options.compute.precision},
                                {"threads", thread_count()},
                                {"seed", setup.options.seed},
                                {"data", setup.data.info().name},
                                {"data_fingerprint", setup.data.fingerprint_text()}};
  write_atomic(folder.file("run.json"), json_text(run, 2) + "\n");
}

void log_start(const TrainSetup& setup, const RunState& state, const RunFolder& folder) {
  log_info("palindrome {} on {}, {} threads, {}", version(), describe_device(setup.device),
           thread_count(), describe_libraries(setup.device));
  const DatasetInfo& images = setup.data.info();
  log_info("{}: {} training, {} validation images {}x{}x{}, {} classes", images.name,
           setup.data.training().count(), setup.data.validation_images().size(), images.height,
           images.width, images.channels, images.classes());
  log_info("{}: {} parameters ({} in the network), activations about {}: {}",
           setup.model->config().arch, setup.model->parameters().all_values().numel(),
           setup.model->parameters().count(ParameterGroup::network),
           format_bytes(setup.plan.peak_bytes), setup.plan.summary());
  log_info("batch {}, {} steps, beta {}; output {}", setup.options.batch_size,
           state.last_step(setup), setup.options.beta_text, folder.path());
}

MetricsRow step_row(const TrainSetup& setup, double seconds, int64_t step, double learning_rate,
                    const StepResult& result, double step_seconds) {
  const MemoryStats memory_stats = setup.memory().stats();
  MetricsRow row("train");
  row.set("t", seconds).set_count("step", step);
  row.set("epoch", static_cast<double>(step) / static_cast<double>(setup.steps_per_epoch()));
  row.set("loss", result.loss);
  if (setup.model->has_density()) row.set("loss_x", result.nll_joint);
  row.set("loss_y", result.cross_entropy);
  if (setup.model->has_density()) row.set("bits_per_dim", setup.bits_per_dim(result.nll_joint));
  row.set("acc1", result.accuracy);
  row.set("lr", learning_rate);
  row.set("grad_norm", result.grad_norm);
  row.set("images_per_s", static_cast<double>(setup.options.batch_size) / step_seconds);
  row.set_json("memory",
               fmt::format(R"({{"parameters":{},"activations":{},"workspace":{},"peak":{}}})",
                           memory_stats.peak_of(Tag::parameters), memory_stats.peak_activations,
                           memory_stats.peak_of(Tag::workspace), memory_stats.peak_total));
  row.set("data_stall", setup.data.training().stall_seconds());
  if (setup.flow != nullptr && setup.flow->chain().last_check().block >= 0)
    row.set("inversion_error", setup.flow->chain().last_check().relative_error);
  return row;
}

void print_profile(const TrainSetup& setup, int64_t steps, double seconds) {
  print_result(Profiler::table());
  print_result(setup.roofs.str());
  const double kernels = static_cast<double>(Profiler::kernel_nanoseconds()) * 1e-9;
  if (steps <= 0 || seconds <= 0.0) return;
  print_result(fmt::format(
      "{} profiled step{} took {:.3f} s: {:.1f} % in {} kernels, {:.2f} ms a step elsewhere", steps,
      steps == 1 ? "" : "s", seconds, 100.0 * kernels / seconds,
      setup.device.is_cuda() ? "the GPU's" : "the training thread's",
      1e3 * (seconds - kernels) / static_cast<double>(steps)));
}

std::string progress_text(const TrainSetup& setup, const RunState& state, const StepTimes& times,
                          const StepResult& result) {
  const int64_t step = state.progress.step;
  const int64_t last = state.last_step(setup);
  const int64_t done = step - times.first_step;
  const double rate = static_cast<double>(done) / std::max(1e-9, times.seconds);
  const double left = static_cast<double>(last - step) / std::max(1e-9, rate);
  const double fraction = static_cast<double>(step) / static_cast<double>(last);
  return fmt::format(
      "epoch {:.2f} {} loss {:.3f}{}  acc {:.1f} %  {:.0f} images/s  "
      "activations {}  ETA {}",
      static_cast<double>(step) / static_cast<double>(setup.steps_per_epoch()),
      progress_bar(fraction, 20), result.loss,
      setup.model->has_density()
          ? fmt::format("  {:.2f} bits/dim", setup.bits_per_dim(result.nll_joint))
          : std::string(),
      100.0 * result.accuracy, rate * static_cast<double>(setup.options.batch_size),
      format_bytes(setup.memory().stats().peak_activations), format_duration(left));
}

void report_run(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                const StepTimes& times, double worst_inversion, bool complete) {
  const MemoryStats memory_stats = setup.memory().stats();
  const int64_t step = state.progress.step;
  const auto images = static_cast<double>((step - times.first_step) * setup.options.batch_size);
  const double rate = images / std::max(1e-9, times.seconds);
  nlohmann::ordered_json summary = {{"step", step},
                                    {"complete", complete},
                                    {"train_images_per_s", rate},
                                    {"train_seconds", times.seconds},
                                    {"data_stall_seconds", setup.data.training().stall_seconds()},
                                    {"bad_images", setup.data.bad_images()},
                                    {"inversion_error", worst_inversion},
                                    {"train_peak_bytes", memory_stats.peak_total},
                                    {"peak_activation_bytes", memory_stats.peak_activations}};
  if (state.has_best) {
    summary["validation_ce"] = state.best_ce;
    if (setup.model->has_density())
      summary["validation_bits_per_dim"] = setup.bits_per_dim(state.best_loss_x);
  }
  TextTable table({"training", ""});
  table.add({"steps", grouped(step)});
  table.add({"images/s", fmt::format("{:.0f}", rate)});
  table.add({"seconds in steps", fmt::format("{:.1f}", times.seconds)});
  if (!setup.inverted.empty())
    table.add({"worst relative inversion error", fmt::format("{:.1e}", worst_inversion)});
  table.add({"peak memory", format_bytes(memory_stats.peak_total)});
  table.add(
      {"  activations (stream + subnet + workspace)", format_bytes(memory_stats.peak_activations)});
  for (int i = 0; i < kTagCount; ++i) {
    const int64_t peak = memory_stats.peak[static_cast<size_t>(i)];
    summary["peak_bytes_by_tag"][name_of(static_cast<Tag>(i))] = peak;
    if (peak > 0)
      table.add({fmt::format("  {}", name_of(static_cast<Tag>(i))), format_bytes(peak)});
  }
  write_atomic(folder.file("summary.json"), json_text(summary, 2) + "\n");
  if (setup.options.json) {
    print_result(json_text(summary));
    return;
  }
  if (setup.options.memory_report) print_result(table.text());
  print_result(fmt::format("results: {}", folder.file("summary.json")));
}

}  // namespace pal
