// The LibTorch side of bench/steps/step.py: commands as JSON lines on stdin, answers on stdout.
#include <c10/util/Exception.h>

#include <iostream>
#include <string>

#include "bench/libtorch/counting_allocator.h"
#include "bench/libtorch/worker.h"

namespace {

constexpr const char* kHelp =
    "Usage: torch_step [--untuned]\n"
    "Trains networks of the engine's checkpoints with LibTorch, for bench/steps/step.py: reads a "
    "JSON\n"
    "object per line from stdin and answers each with one on stdout (bench/README.md).\n"
    "  --untuned  as the published code runs: NCHW, permutations as matrices, class means spelled\n"
    "             out\n";

/// The first line of what went wrong; PyTorch adds a trace.
std::string reason(const std::exception& error) {
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  const std::string text = of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

void serve(rival::Worker& worker) {
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::ordered_json answer;
    const auto command = nlohmann::json::parse(line, nullptr, false);
    try {
      if (!command.is_object()) throw std::runtime_error("expected a JSON object per line");
      if (command.value("cmd", "") == "quit") return;
      answer = worker.answer(command);
    } catch (const std::exception& error) {
      answer = {{"error", reason(error)}};
    }
    std::cout << answer.dump() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool untuned = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help") {
      std::cout << kHelp;
      return 0;
    }
    if (option != "--untuned") {
      std::cerr << "torch_step: error: expected --untuned or --help, got '" << option << "'\n";
      return 2;
    }
    untuned = true;
  }
  rival::count_tensor_bytes(!untuned);
  rival::Worker worker(untuned);
  serve(worker);
  return 0;
}
