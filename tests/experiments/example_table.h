#pragma once
#include <limits>
#include <string>
#include <vector>

#include "experiments/command_line/option_table.h"
#include "experiments/command_line/parse_options.h"

namespace pal::testing {

enum class Pace { slow, quick };

/// A small program's options: one of every kind, with what options can have.
struct ExampleTable {
  bool flip = true;
  bool verbose = false;
  int64_t batch = 128;
  int64_t anchors = -1;
  int threads = 0;
  uint64_t seed = 0;
  double rate = 0.07;
  double offset = 0.0;
  double share = 0.5;
  double beta = 1.0;
  std::vector<double> scale = {0.08, 1.0};
  std::vector<float> mean;
  std::vector<int64_t> blocks = {4, 4};
  std::string output = "run";
  std::vector<std::string> sets;
  std::vector<std::string> pair;
  int64_t memory = 0;
  double time = 0.0;
  Pace pace = Pace::slow;
  std::string folder;
  OptionTable table{"pal-example", "Shows what options can be.\n\n  pal-example photos"};

  ExampleTable() {
    table.positional("DIR", folder, "Pictures");
    table.group("Values");
    table.toggle("flip", flip, "Mirror");
    table.toggle("verbose", verbose, "More lines").letter('v').on_resume(OnResume::process);
    table.whole("batch-size", batch, "Images per step").letter('b').at_least(1);
    table.whole("anchors", anchors, "Kept")
        .at_least(1)
        .word("auto", -1)
        .word("none", 0)
        .families(Families::flows);
    table.whole("threads", threads, "Threads").word("auto", 0).on_resume(OnResume::process);
    table.whole("seed", seed, "Seed");
    table.number("lr", rate, "Rate").at_least(0).by_architecture({{"small", "0.01"}});
    table.number("offset", offset, "Anything");
    table.number("share", share, "Part").above(0).below(1);
    table.number("beta", beta, "Weight")
        .at_least(0)
        .word("inf", std::numeric_limits<double>::infinity());
    table.group("Lists");
    table.numbers("scale", scale, 2, "From and to");
    table.numbers("mean", mean, "Mean of each colour").at_least(0).at_most(1);
    table.numbers("blocks", blocks, 0, "Blocks").at_least(1);
    table.group("Texts");
    table.text("output", output, "Run folder").letter('o').unit("RUN");
    table.texts("set", sets, "Any field");
    table.texts("between", pair, "Two pictures").takes(2);
    table.bytes("memory-limit", memory, "Memory");
    table.duration("max-time", time, "Time");
    table.choice<Pace>("pace", pace, {{"slow", Pace::slow}, {"quick", Pace::quick}}, "Pace");
    table.synonym("learning-rate", "--lr");
    table.synonym("data", "the argument DIR");
  }

  ParsedCommand parse(const std::vector<std::string>& arguments) {
    return parse_arguments(table, arguments);
  }

  static ParsedCommand parse_arguments(OptionTable& table,
                                       const std::vector<std::string>& arguments) {
    std::vector<const char*> words = {"program"};
    for (const std::string& argument : arguments) words.push_back(argument.c_str());
    return parse_command_line(table, static_cast<int>(words.size()), words.data());
  }
};

}  // namespace pal::testing
