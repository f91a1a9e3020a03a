#include "experiments/command_line/options_file.h"
#include "tests/fuzz/fuzz.h"

namespace {

/// An option of each kind, by the names that tests/fuzz/seeds/options uses.
struct Options {
  bool toggle = false;
  int64_t whole = 1;
  uint64_t seed = 0;
  double number = 0.5;
  int64_t bytes = 0;
  double duration = 0.0;
  std::vector<double> numbers;
  std::vector<int64_t> wholes;
  std::vector<std::string> texts;
  std::string text, file;
  int choice = 0;
};

void read(const std::string& path, pal::Origin origin) {
  Options o;
  pal::OptionTable table("pal-fuzz", "Options of each kind.");
  table.group("All");
  table.toggle("noise", o.toggle, "A truth value");
  table.whole("batch-size", o.whole, "A whole number").at_least(1).word("auto", 0);
  table.whole("seed", o.seed, "A whole number without a sign");
  table.number("beta", o.number, "A number").above(0).at_most(100);
  table.bytes("memory-limit", o.bytes, "Bytes");
  table.duration("max-time", o.duration, "A time");
  table.numbers("crop-scale", o.numbers, 2, "Two numbers");
  table.numbers("blocks", o.wholes, 0, "Any number of whole numbers");
  table.texts("images", o.texts, "Texts");
  table.text("name", o.text, "A text");
  table.file("output", o.file, "A path");
  table.choice("arch", o.choice, {{"small", 1}, {"large", 2}}, "A word");
  table.synonym("lr", "--beta");
  pal::apply_config_file(table, path, origin);
  pal::effective_config(table, true, true);
  pal::options_json(table, true);
}

}  // namespace

// A configuration given by a person, that of a run that is resumed, and the bare reading of one.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using enum pal::ErrorKind;
  for (const pal::Origin origin : {pal::Origin::file, pal::Origin::run})
    pal::fuzz::run_file(bytes, size, [origin](const std::string& path) { read(path, origin); },
                        {data, usage});
  return pal::fuzz::run_file(bytes, size, [](const std::string& path) { pal::config_values(path); },
                             {data, usage});
}
