// What a training run tells: the plan, the log, metrics and the summary.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "experiments/command_line/program.h"
#include "experiments/planning/model_summary.h"
#include "experiments/report/text_table.h"
#include "experiments/training/trainer.h"
#include "kernels/library/planned.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal {

void Trainer::print_plan() const {
  const auto& store = model_->parameters();
  const DatasetInfo& images = data_.info();
  const ModelSummary summary = summarize_model(model_->config());
  print_result(fmt::format(
      "model {} at {}x{}x{}, {} classes: {} blocks, {} network parameters, {} in all",
      model_->config().arch, images.height, images.width, images.channels, images.classes(),
      summary.blocks.size(), summary.parameters_network, summary.parameters_total));
  size_t next = 0;
  for (const BlockSummary& block : summary.blocks) {
    print_result(fmt::format("  {:<12} {:<22} {:>20} -> {:<20} {}", block.name, block.kind,
                             block.input.str(), block.output.str(),
                             block.has_policy ? name_of(plan_.policies[next++]) : ""));
  }
  print_result(fmt::format("parameters, gradients and momentum: {}; activations: about {} ({})",
                           format_bytes(3 * store.all_values().bytes()),
                           format_bytes(plan_.peak_bytes), plan_.summary()));
  print_result(fmt::format("{} training and {} validation images, {} steps per epoch, {} steps",
                           data_.training().count(), data_.validation().size(), steps_per_epoch(),
                           last_step()));
}

void Trainer::write_run_file(const std::string& command) const {
  nlohmann::ordered_json run = {{"program", "pal-train"},
                                {"version", version()},
                                {"command", command},
                                {"device", describe_device(device_)},
                                {"library", describe_libraries(device_)},
                                {"precision", options_.compute.precision},
                                {"threads", thread_count()},
                                {"seed", options_.seed},
                                {"data", data_.info().name},
                                {"data_fingerprint", fmt::format("{:016x}", data_.fingerprint())}};
  write_atomic(folder_->file("run.json"), run.dump(2) + "\n");
}

void Trainer::log_start() const {
  log_info("palindrome {} on {}, {} threads, {}", version(), describe_device(device_),
           thread_count(), describe_libraries(device_));
  const DatasetInfo& images = data_.info();
  log_info("{}: {} training, {} validation images {}x{}x{}, {} classes", images.name,
           data_.training().count(), data_.validation().size(), images.height, images.width,
           images.channels, images.classes());
  log_info("{}: {} parameters ({} in the network), activations about {}: {}", model_->config().arch,
           model_->parameters().all_values().numel(),
           model_->parameters().count(ParameterGroup::network), format_bytes(plan_.peak_bytes),
           plan_.summary());
  log_info("batch {}, {} steps, beta {}; output {}", options_.batch_size, last_step(),
           options_.beta_text, folder_->path());
}

void Trainer::record_step(const Launched& launched, const StepResult& result, double seconds) {
  const MemoryStats memory_stats = memory().stats();
  MetricsRow row("train");
  row.set("t", elapsed()).set_count("step", launched.step);
  row.set("epoch", static_cast<double>(launched.step) / static_cast<double>(steps_per_epoch()));
  row.set("loss", result.loss);
  if (model_->has_density()) row.set("loss_x", result.nll_joint);
  row.set("loss_y", result.cross_entropy);
  if (model_->has_density()) row.set("bits_per_dim", bits_per_dim(result.nll_joint));
  row.set("acc1", result.accuracy);
  row.set("lr", launched.learning_rate);
  row.set("grad_norm", result.grad_norm);
  row.set("images_per_s", static_cast<double>(options_.batch_size) / seconds);
  row.set_json("memory",
               fmt::format(R"({{"parameters":{},"activations":{},"workspace":{},"peak":{}}})",
                           memory_stats.peak_of(Tag::parameters), memory_stats.peak_activations,
                           memory_stats.peak_of(Tag::workspace), memory_stats.peak_total));
  row.set("data_stall", data_.training().stall_seconds());
  if (flow_ != nullptr && flow_->chain().last_check().block >= 0)
    row.set("inversion_error", flow_->chain().last_check().relative_error);
  metrics_->append(row);
}

void Trainer::print_profile() const {
  print_result(Profiler::table());
  print_result(roofs_.str());
  const double kernels = static_cast<double>(Profiler::kernel_nanoseconds()) * 1e-9;
  const double seconds = train_seconds_ - unprofiled_seconds_;
  const int64_t steps = progress_.step - profiled_from_;
  if (steps <= 0 || seconds <= 0.0) return;
  print_result(fmt::format(
      "{} profiled step{} took {:.3f} s: {:.1f} % in {} kernels, {:.2f} ms a step elsewhere", steps,
      steps == 1 ? "" : "s", seconds, 100.0 * kernels / seconds,
      device_.is_cuda() ? "the GPU's" : "the training thread's",
      1e3 * (seconds - kernels) / static_cast<double>(steps)));
}

std::string Trainer::progress_text(const StepResult& result) const {
  const int64_t done = progress_.step - start_step_;
  const double rate = static_cast<double>(done) / std::max(1e-9, train_seconds_);
  const double left = static_cast<double>(last_step() - progress_.step) / std::max(1e-9, rate);
  const double fraction = static_cast<double>(progress_.step) / static_cast<double>(last_step());
  return fmt::format(
      "epoch {:.2f} {} loss {:.3f}{}  acc {:.1f} %  {:.0f} images/s  "
      "activations {}  ETA {}",
      static_cast<double>(progress_.step) / static_cast<double>(steps_per_epoch()),
      progress_bar(fraction, 20), result.loss,
      model_->has_density() ? fmt::format("  {:.2f} bits/dim", bits_per_dim(result.nll_joint))
                            : std::string(),
      100.0 * result.accuracy, rate * static_cast<double>(options_.batch_size),
      format_bytes(memory().stats().peak_activations), format_duration(left));
}

void Trainer::report(bool complete) const {
  const MemoryStats memory_stats = memory().stats();
  const auto images = static_cast<double>((progress_.step - start_step_) * options_.batch_size);
  const double rate = images / std::max(1e-9, train_seconds_);
  nlohmann::ordered_json summary = {{"step", progress_.step},
                                    {"complete", complete},
                                    {"train_images_per_s", rate},
                                    {"train_seconds", train_seconds_},
                                    {"data_stall_seconds", data_.training().stall_seconds()},
                                    {"bad_images", data_.bad_images()},
                                    {"inversion_error", worst_inversion_},
                                    {"train_peak_bytes", memory_stats.peak_total},
                                    {"peak_activation_bytes", memory_stats.peak_activations}};
  if (has_best_) {
    summary["validation_ce"] = best_entropy_;
    if (model_->has_density()) summary["validation_bits_per_dim"] = bits_per_dim(best_density_);
  }
  TextTable table({"training", ""});
  table.add({"steps", grouped(progress_.step)});
  table.add({"images/s", fmt::format("{:.0f}", rate)});
  table.add({"seconds in steps", fmt::format("{:.1f}", train_seconds_)});
  if (!inverted_.empty())
    table.add({"worst relative inversion error", fmt::format("{:.1e}", worst_inversion_)});
  table.add({"peak memory", format_bytes(memory_stats.peak_total)});
  table.add(
      {"  activations (stream + subnet + workspace)", format_bytes(memory_stats.peak_activations)});
  for (int i = 0; i < kTagCount; ++i) {
    const int64_t peak = memory_stats.peak[static_cast<size_t>(i)];
    summary["peak_bytes_by_tag"][name_of(static_cast<Tag>(i))] = peak;
    if (peak > 0)
      table.add({fmt::format("  {}", name_of(static_cast<Tag>(i))), format_bytes(peak)});
  }
  write_atomic(folder_->file("summary.json"), summary.dump(2) + "\n");
  if (options_.json) {
    print_result(summary.dump());
    return;
  }
  if (options_.memory_report) print_result(table.text());
  print_result(fmt::format("results: {}", folder_->file("summary.json")));
}

}  // namespace pal
