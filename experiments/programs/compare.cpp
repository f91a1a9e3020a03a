#include <filesystem>
#include <string>
#include <vector>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/comparison/orderings.h"
#include "experiments/comparison/sweep_table.h"
#include "experiments/pages/sweep_section.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-compare";

struct Options {
  std::vector<std::string> runs;
  std::string folder;
  std::string processor;
};

void add_options(OptionTable& table, Options& o) {
  table.positionals("RUN", o.runs, "Run folders of pal-train, evaluated by pal-evaluate --summary");
  table
      .text("output", o.folder,
            "Write into this folder: runs.csv and runs.json (a line, or an object, for each run), "
            "orderings.csv, and orderings.markdown with the means over seeds and the verdicts")
      .letter('o')
      .unit("DIR");
  table.text("processor", o.processor, "Where runs were trained that do not record it")
      .unit("NAME");
}

int run(const Options& options) {
  expect(!options.runs.empty(), "RUN: none is given; name run folders");
  set_log_level(LogLevel::quiet);  // which checkpoint stands for each run
  std::vector<RunRecord> runs;
  for (const std::string& path : options.runs) {
    runs.push_back(read_run(path));
    if (runs.back().processor.empty()) runs.back().processor = options.processor;
  }
  const Sweep sweep = sweep_of(runs);
  const std::vector<Ordering> found = orderings(sweep);
  if (!options.folder.empty()) {
    make_folders(options.folder);
    const auto file = [&](const char* name) {
      return (std::filesystem::path(options.folder) / name).string();
    };
    write_atomic(file("runs.csv"), runs_csv(runs));
    write_atomic(file("runs.json"), runs_json(runs));
    write_atomic(file("orderings.csv"), to_csv(found));
    write_atomic(file("orderings.markdown"), sweep_markdown(sweep, found));
  }
  print_result(runs_text(runs) + "\n");
  for (const std::string& reason : sweep.left_out) print_result("not compared: " + reason);
  print_result(to_text(found));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(
        kName,
        "Runs beside each other, and which orderings of the paper hold among them.\n\n"
        "  pal-compare runs/*_seed_* -o sweep");
    Options options;
    add_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    return run(options);
  });
}
