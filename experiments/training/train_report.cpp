#include "experiments/training/train_report.h"

#include <algorithm>

#include "experiments/command_line/program.h"
#include "experiments/report/text_table.h"
#include "kernels/library/platform.h"
#include "runtime/byte_count.h"
#include "runtime/cuda.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/parallel.h"
#include "runtime/processors.h"
#include "runtime/profiler.h"

namespace pal {

namespace {

/// The commands of the processes that a run.json tells of; none if there is no such file.
nlohmann::ordered_json commands_of(const std::string& path) {
  const auto run = parse_json_file(path);
  const bool known = run.is_object() && run.contains("commands") && run.at("commands").is_array();
  return known ? run.at("commands") : nlohmann::ordered_json::array();
}

/// "128", or "128 (4 ranks x 2 parts x 16)".
std::string batch_text(const TrainOptions& o) {
  std::string text = std::to_string(o.global_batch);
  if (o.share.ranks == 1 && o.share.parts == 1) return text;
  text += " (";
  if (o.share.ranks > 1) text += fmt::format("{} ranks x ", o.share.ranks);
  if (o.share.parts > 1) text += fmt::format("{} parts x ", o.share.parts);
  return text + fmt::format("{})", o.batch_size);
}

}  // namespace

void write_run_file(const TrainSetup& setup, const RunFolder& folder, const std::string& command) {
  nlohmann::ordered_json run = {{"program", "pal-train"},
                                {"version", version()},
                                {"command", command},
                                {"device", describe_device(setup.device)},
                                {"processor", processor_name()},
                                {"library", describe_libraries(setup.device)},
                                {"precision", setup.options.compute.precision},
                                {"threads", thread_count()},
                                {"seed", setup.options.seed},
                                {"data", setup.data.info().name},
                                {"data_fingerprint", setup.data.fingerprint_text()}};
  run["ranks"] = setup.ranks.size();
  run["commands"] = commands_of(folder.file("run.json"));
  run["commands"].push_back(command);
  write_atomic(folder.file("run.json"), json_text(run, 2, BadUtf8::replaced) + "\n");
}

void log_start(const TrainSetup& setup, const RunState& state, const RunFolder& folder) {
  log_info("palindrome {} on {}, {} threads, {}", version(), describe_device(setup.device),
           thread_count(), describe_libraries(setup.device));
  const DatasetInfo& images = setup.data.info();
  log_info("{}: {} training, {} validation images {}x{}x{}, {} classes", images.name,
           setup.data.training_images(), setup.data.validation_images().size(), images.height,
           images.width, images.channels, images.classes());
  log_info("{}: {} parameters ({} in the network), activations about {}: {}",
           setup.model->config().arch, setup.model->parameters().all_values().numel(),
           setup.model->parameters().count(ParameterGroup::network),
           format_bytes(setup.plan.peak_bytes), setup.plan.summary());
  log_info("batch {}, {} steps, {} an epoch{}; output {}", batch_text(setup.options),
           state.last_step(setup), setup.steps_per_epoch(),
           setup.model->has_density() ? fmt::format(", beta {}", setup.options.beta) : "",
           folder.path());
  const TrainOptions& o = setup.options;
  log_info("{}, rate {:g}{}", o.optimizer == OptimizerKind::adamw ? "adamw" : "sgd",
           o.update.learning_rate,
           setup.flow != nullptr ? fmt::format(" (class means {:g})", o.update.learning_rate_means)
                                 : "");
  warn_of_lengths(setup, state);
}

MetricsRow step_row(const TrainSetup& setup, double seconds, int64_t step, double learning_rate,
                    const StepResult& result, const InversionCheck& check, double step_seconds) {
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
  if (!result.taken())
    row.set_text("skipped",
                 result.guard.verdict == StepVerdict::outlier ? "outlier" : "not-finite");
  row.set_count("skipped_steps", result.guard.skipped());
  row.set("images_per_s", static_cast<double>(setup.options.global_batch) / step_seconds);
  row.set_json("memory",
               fmt::format(R"({{"parameters":{},"activations":{},"workspace":{},"peak":{}{}}})",
                           memory_stats.peak_of(Tag::parameters), memory_stats.peak_activations,
                           memory_stats.peak_of(Tag::workspace), memory_stats.peak_total,
                           setup.device.is_cuda()
                               ? fmt::format(R"(,"reserved":{})", memory_stats.peak_reserved)
                               : std::string()));
  row.set("data_stall", setup.data.training().stall_seconds());
  if (check.block >= 0) row.set("inversion_error", check.relative_error);
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
      100.0 * result.accuracy, rate * static_cast<double>(setup.options.global_batch),
      format_bytes(setup.memory().stats().peak_activations), format_duration(left));
}

void warn_of_lengths(const TrainSetup& setup, const RunState& state) {
  const int64_t last = state.planned_steps(setup);
  const TrainOptions& o = setup.options;
  if (2 * o.burn_in >= last)
    log_warning(
        "--burn-in: {} steps of {} have their loss times 0.05; a smaller -b or more --epochs make "
        "more steps",
        std::min(o.burn_in, last), last);
  constexpr size_t kFew = 200;
  if (const size_t images = setup.data.validation_images().size(); images < kFew)
    log_info("only {} images choose the best checkpoint, so chance has a say in it", images);
  if (o.schedule.warmup_steps >= setup.options.schedule.total_steps)
    log_warning("--warmup-steps: {} steps of {}: the run never leaves the warm-up",
                o.schedule.warmup_steps, setup.options.schedule.total_steps);
}

std::string stop_text(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                      StopReason reason) {
  const int64_t step = state.progress.step;
  const std::string place = fmt::format("at step {} of {}", step, state.planned_steps(setup));
  switch (reason) {
    case StopReason::complete:
      return fmt::format("complete {}", place);
    case StopReason::max_steps:
      return fmt::format("stopped by --max-steps {}", place);
    case StopReason::max_time:
      return fmt::format("stopped by --max-time {}", place);
    case StopReason::signal:
      return fmt::format("stopped by a signal {}; go on with: pal-train --resume {}", place,
                         shell_word(folder.path()));
    case StopReason::error:
      break;
  }
  return fmt::format("stopped by an error after step {} of {}", step, state.planned_steps(setup));
}

bool is_finished_run(const RunState& state, const RunFolder& folder) {
  const auto summary = parse_json_file(folder.file("summary.json"));
  return summary.is_object() && value_or(summary, "complete", false) &&
         value_or(summary, "step", int64_t{-1}) == state.progress.step;
}

void report_run(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                const RunEnd& end) {
  const MemoryStats memory_stats = setup.memory().stats();
  const int64_t step = state.progress.step;
  const int64_t steps = step - end.times.first_step + end.before.steps;
  const double seconds = end.times.seconds + end.before.step_seconds;
  const auto images = static_cast<double>(steps * setup.options.global_batch);
  const double rate = images / std::max(1e-9, seconds);
  nlohmann::ordered_json summary = {{"step", step},
                                    {"complete", end.reason == StopReason::complete},
                                    {"stop_reason", name_of(end.reason)},
                                    {"train_images_per_s", rate},
                                    {"train_seconds", seconds},
                                    {"data_stall_seconds", setup.data.training().stall_seconds()},
                                    {"bad_images", setup.data.bad_images()},
                                    {"skipped_not_finite", state.guard.not_finite},
                                    {"skipped_outliers", state.guard.outliers},
                                    {"inversion_error", end.worst_inversion},
                                    {"train_peak_bytes", memory_stats.peak_total},
                                    {"peak_activation_bytes", memory_stats.peak_activations}};
  if (setup.device.is_cuda()) {
    summary["reserved_bytes"] = memory_stats.peak_reserved;
    // After an error the GPU may have no answer left.
    if (end.reason != StopReason::error) {
      const cuda::DeviceMemory gpu = cuda::device_memory();
      summary["gpu_used_bytes"] = gpu.total - gpu.free;
    }
  }
  if (state.last_validation.step >= 0)
    summary["last_validation"] = parse_ordered_json(validation_json(state.last_validation));
  if (state.has_best) {
    summary["validation_ce"] = state.best_ce;
    summary["best_ce_weights"] = name_of(state.best_ce_weights);
    if (setup.model->has_density()) {
      summary["validation_bits_per_dim"] = setup.bits_per_dim(state.best_loss_x);
      summary["best_nll_weights"] = name_of(state.best_loss_x_weights);
    }
  }
  TextTable table({"training", ""});
  table.add({"steps", grouped(step)});
  table.add({"images/s", fmt::format("{:.0f}", rate)});
  if (state.guard.skipped() > 0)
    table.add({"steps skipped (not finite, outliers)",
               fmt::format("{}, {}", state.guard.not_finite, state.guard.outliers)});
  table.add({"seconds in steps", fmt::format("{:.1f}", seconds)});
  if (!setup.inverted.empty())
    table.add({"worst relative inversion error", fmt::format("{:.1e}", end.worst_inversion)});
  table.add({"peak memory", format_bytes(memory_stats.peak_total)});
  table.add(
      {"  activations (stream + subnet + workspace)", format_bytes(memory_stats.peak_activations)});
  for (int i = 0; i < kTagCount; ++i) {
    const int64_t peak = memory_stats.peak[static_cast<size_t>(i)];
    summary["peak_bytes_by_tag"][name_of(static_cast<Tag>(i))] = peak;
    if (peak > 0)
      table.add({fmt::format("  {}", name_of(static_cast<Tag>(i))), format_bytes(peak)});
  }
  if (setup.device.is_cuda()) {
    table.add({"held from the driver, peak", format_bytes(memory_stats.peak_reserved)});
    table.add({"in use on the GPU, by all processes",
               format_bytes(summary.value("gpu_used_bytes", int64_t{0}))});
  }
  write_atomic(folder.file("summary.json"), json_text(summary, 2, BadUtf8::replaced) + "\n");
  const std::string reason = stop_text(setup, state, folder, end.reason);
  log_info("{}", reason);
  if (end.reason == StopReason::signal || end.reason == StopReason::error) return;
  if (setup.options.json) {
    print_result(json_text(summary, -1, BadUtf8::replaced));
    return;
  }
  if (setup.options.memory_report) print_result(table.text());
  print_result(fmt::format("results: {}{}", folder.file("summary.json"),
                           end.reason == StopReason::complete ? "" : " (" + reason + ")"));
}

}  // namespace pal
