// The engine's side of bench/steps/step.py: commands as JSON lines on stdin, answers on stdout
// (bench/README.md, "Worker protocol").
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/steps/preset_with.h"
#include "bench/steps/stepper.h"
#include "bench/support/memory_report.h"
#include "bench/support/resident_memory.h"
#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/data_options.h"
#include "experiments/command_line/program.h"
#include "layers/models/model_io.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace {

using Json = nlohmann::json;
using Answer = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <typename T>
T field(const Json& command, const char* key, const T& fallback) {
  try {
    return command.value(key, fallback);
  } catch (const Json::exception&) {
    pal::fail(pal::ErrorKind::usage, "{}: the value has the wrong type", key);
  }
}

class Worker {
 public:
  Answer answer(const Json& command) {
    const auto name = field<std::string>(command, "cmd", "");
    if (name == "load") return load(command);
    pal::expect(stepper_ != nullptr, "expected the command load first, got '{}'", name);
    if (name == "export") return write(command);
    if (name == "train") return train(command);
    if (name == "infer") return infer(command);
    if (name == "memory") return memory(command);
    pal::fail(pal::ErrorKind::usage,
              "cmd: expected load, export, train, infer, memory or quit, got '{}'", name);
  }

 private:
  Answer load(const Json& command) {
    const auto precision = field<std::string>(command, "precision", "fp32");
    device_ = pal::apply_compute_options({.device = field<std::string>(command, "device", "cpu"),
                                          .threads = field(command, "threads", 0),
                                          .precision = precision});
    pal::bench::StepperOptions options;
    options.model =
        pal::bench::preset_with(field<std::string>(command, "arch", "ibinn-mnist"),
                                field<std::vector<std::string>>(command, "set", {}), "set");
    options.model.compute = precision == "bf16" ? pal::DType::bf16 : pal::DType::f32;
    pal::validate(options.model);
    options.device = device_;
    options.batch = field<int64_t>(command, "batch", 4);
    options.graph = device_.is_cuda() && !is_learned(options.model.mixing);
    options.learning_rate = field(command, "lr", options.learning_rate);
    // The old model goes first: two may not fit.
    stepper_.reset();
    pal::Allocator::of(device_).trim();
    stepper_ = std::make_unique<pal::bench::Stepper>(options);
    return {{"engine", "palindrome"},
            {"version", pal::version()},
            {"libraries", pal::describe_libraries(device_)},
            {"batch", options.batch},
            {"threads", pal::thread_count()},
            {"configuration", Json::parse(pal::to_json(options.model))}};
  }

  /// The weights as they are now, their configuration and the batch: a checkpoint for any program.
  Answer write(const Json& command) {
    const pal::Model& model = stepper_->model();
    pal::InputSpec input = pal::input_spec({}, {}, model.config().channels);
    for (int64_t y = 0; y < model.config().classes; ++y)
      input.class_names.push_back(std::to_string(y));
    pal::Checkpoint checkpoint = pal::to_checkpoint(model, input, {});
    for (auto& [name, tensor] : checkpoint.tensors) tensor = tensor.to(pal::Device());
    checkpoint.tensors.emplace_back("bench.images", stepper_->images().to(pal::Device()));
    checkpoint.tensors.emplace_back("bench.labels", stepper_->labels());
    const auto file = field<std::string>(command, "file", "");
    pal::expect(!file.empty(), "file: expected where to write");
    pal::save_checkpoint(file, checkpoint);
    return {{"file", file}};
  }

  Answer train(const Json& command) {
    const auto policy = field<std::string>(command, "policy", "store");
    if (command.contains("lr")) stepper_->set_learning_rate(field(command, "lr", 0.0));
    Answer answer = {
        {"seconds", Answer::array()}, {"loss", Answer::array()}, {"grad_norm", Answer::array()}};
    for (int64_t i = 0; i < field<int64_t>(command, "steps", 1); ++i) {
      const auto start = Clock::now();
      const pal::StepResult result = stepper_->run(policy, 1).front();
      answer["seconds"].push_back(seconds_since(start));
      answer["loss"].push_back(result.loss);
      answer["grad_norm"].push_back(result.grad_norm);
    }
    return answer;
  }

  Answer infer(const Json& command) {
    Answer answer = {{"seconds", Answer::array()}};
    for (int64_t i = 0; i < field<int64_t>(command, "steps", 1); ++i) {
      const auto start = Clock::now();
      answer["loss"] = stepper_->infer();
      answer["seconds"].push_back(seconds_since(start));
    }
    return answer;
  }

  /// Peaks of one step.
  Answer memory(const Json& command) {
    const auto policy = field<std::string>(command, "policy", "store");
    pal::Allocator& allocator = pal::Allocator::of(device_);
    allocator.trim();
    const bool reset = pal::bench::reset_peak_resident_memory();
    const int64_t resident = pal::bench::resident_memory().current;
    allocator.reset_peaks();
    stepper_->run(policy, 1);
    const pal::MemoryStats stats = allocator.stats();
    const int64_t resident_peak = pal::bench::resident_memory().peak;
    Answer answer = {{"peak_activation_bytes", stats.peak_activations},
                     {"peak_bytes", stats.peak_total},
                     {"bytes_by_tag", pal::bench::bytes_by_tag(stats)},
                     {"resident_peak_bytes", resident_peak}};
    if (reset) answer["resident_growth_bytes"] = resident_peak - resident;
    return answer;
  }

  pal::Device device_;
  std::unique_ptr<pal::bench::Stepper> stepper_;
};

void serve(Worker& worker) {
  for (std::string line; std::getline(std::cin, line);) {
    Answer answer;
    const auto command = Json::parse(line, nullptr, false);
    try {
      pal::expect(command.is_object(), "expected a JSON object per line");
      if (field<std::string>(command, "cmd", "") == "quit") return;
      answer = worker.answer(command);
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
}

}  // namespace

int main(int argc, char**) {
  return pal::run_program("step_worker", [&] {
    pal::expect(argc == 1,
                "expected no arguments: commands come as JSON lines on stdin (bench/README.md)");
    Worker worker;
    serve(worker);
    return 0;
  });
}
