// Seconds of corruptions, one image after another by one thread, for corruptions.py: reads lines
// `CORRUPTION SEVERITY ROUNDS`, answers each with a line of seconds per image, one for each round.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"
#include "experiments/command_line/program.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace {

using namespace pal;

int run(int argc, char** argv) {
  expect(argc > 2, "corrupt_worker: expected a folder of frost photographs and pictures");
  set_thread_count(1);
  CorruptionOptions options;
  options.frost_pictures = std::make_shared<FrostPictures>(read_frost_pictures(argv[1]));
  std::vector<Image> images;
  for (int i = 2; i < argc; ++i) images.push_back(read_image(argv[i]));
  std::string name;
  int severity = 0, rounds = 0;
  while (std::cin >> name >> severity >> rounds) {
    const auto corruption = corruption_of(name);
    expect(corruption.has_value(), "corrupt_worker: no corruption {}", name);
    std::string line;
    for (int round = 0; round < rounds; ++round) {
      options.seed = static_cast<uint64_t>(round);
      const auto begin = std::chrono::steady_clock::now();
      for (size_t i = 0; i < images.size(); ++i)
        corrupted(images[i], *corruption, severity, options, std::to_string(i));
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
      line += fmt::format("{:.9f} ", elapsed.count() / static_cast<double>(images.size()));
    }
    std::cout << line << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program("corrupt_worker", [&] { return run(argc, argv); });
}
