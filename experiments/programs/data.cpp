#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/run_options.h"
#include "experiments/datasets/data_check.h"
#include "experiments/datasets/data_pack.h"
#include "experiments/datasets/data_statistics.h"
#include "experiments/datasets/prepare.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/processors.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-data";

/// What all sub-commands have.
struct Options {
  int64_t workers = usable_processors();
  ProgressMode progress = ProgressMode::automatic;
  bool quiet = false;
  bool json = false;
};

struct Prepare {
  std::string name;
  PrepareOptions options;
};
struct Check {
  std::vector<std::string> places;
  std::string list;
  CheckOptions options;
};
struct Statistics {
  std::vector<std::string> places;
  StatisticsOptions options;
};

using Maker = PreparedSet (*)(const PrepareOptions&);
constexpr std::pair<const char*, Maker> kSets[] = {{"stamps", prepare_stamps},
                                                   {"clipart", prepare_clipart},
                                                   {"fashion-mnist", prepare_fashion},
                                                   {"digits", prepare_digits}};

void add_common(OptionTable& table, Options& o, bool with_json) {
  table.group("Run");
  table.whole("workers", o.workers, "Threads that decode").letter('j').at_least(1).at_most(1024);
  add_progress_option(table, o.progress);
  add_quiet_option(table, o.quiet);
  if (with_json) add_json_option(table, o.json);
}

OptionTable& add_prepare(OptionTable& program, Prepare& p, Options& o) {
  OptionTable& table = program.command(
      "prepare", "Make a data set from Debian packages: stamps, clipart, fashion-mnist, digits");
  table.positional("NAME", p.name, "stamps, clipart, fashion-mnist or digits");
  table.text("output", p.options.output, "Folder of the set")
      .letter('o')
      .unit("DIR")
      .shown_default("below $PALINDROME_DATA or the cache folder");
  add_seed_option(table, p.options.seed);
  table.whole("size", p.options.size, "stamps: side of the pictures").unit("PIXELS");
  table.whole("count", p.options.count, "stamps: training pictures of each class");
  table.whole("val-count", p.options.val_count, "stamps: validation pictures of each class");
  add_pixel_limit(table, p.options.max_pixels);
  table.texts("package", p.options.packages, "A .deb file to use instead of a download")
      .unit("FILE");
  add_common(table, o, false);
  return table;
}

OptionTable& add_check(OptionTable& program, Check& c, Options& o) {
  OptionTable& table = program.command(
      "check", "Decode every picture and list the bad ones: exit 3 if there is one");
  table.positionals("PLACE", c.places, "Folders, files, or tar shards as a pattern");
  table.file("list", c.list, "Write the paths of the bad ones to this file");
  add_pixel_limit(table, c.options.max_pixels);
  add_common(table, o, true);
  return table;
}

OptionTable& add_statistics(OptionTable& program, Statistics& s, Options& o) {
  OptionTable& table = program.command(
      "stats", "Classes, sizes, formats, mean and deviation of the levels as training sees them");
  TransformSpec& transform = s.options.transform;
  table.positionals("PLACE", s.places, "Folders, files, or tar shards as a pattern");
  table.whole("image-size", transform.size, "Side of the square that training sees").unit("PIXELS");
  table
      .whole("resize", transform.resize,
             "Shorter side before the crop; auto: 256 for 224, else in proportion")
      .unit("PIXELS")
      .word("auto", 0);
  table.whole("channels", transform.channels, "3, or 1 for grey");
  add_pixel_limit(table, transform.limits.max_pixels);
  add_common(table, o, true);
  return table;
}

OptionTable& add_pack(OptionTable& program, PackOptions& p, Options& o) {
  OptionTable& table = program.command("pack", "Write tar shards of a folder, in shuffled order");
  table.positional("DIR", p.folder,
                   "A folder with train/CLASS and perhaps val/CLASS and test/CLASS");
  table.text("output", p.output, "Folder of the shards").letter('o').unit("DIR");
  table
      .whole("shards", p.shards,
             "Shards of the training pictures; a thread makes one at a time, so as many as -j")
      .at_least(1);
  table
      .whole("resize", p.resize,
             "Reduce larger pictures to JPEGs with this shorter side, but for those that EXIF "
             "turns; off: files as they are")
      .unit("PIXELS")
      .at_least(1)
      .at_most(65500)
      .word("off", 0);
  const auto reduces = [&p] { return p.resize > 0; };
  table.whole("quality", p.quality, "Of the JPEGs that --resize makes")
      .at_least(1)
      .at_most(100)
      .only("with --resize", reduces);
  add_pixel_limit(table, p.limits.max_pixels).only("with --resize", reduces);
  add_seed_option(table, p.seed);
  add_common(table, o, false);
  return table;
}

std::string left_out_text(const PreparedSet& set, int64_t max_pixels) {
  if (set.left_out == 0) return "";
  return fmt::format(", {} above {} pixels left out", grouped(set.left_out), grouped(max_pixels));
}

int run_prepare(const Prepare& p, ProgressLine& line) {
  std::vector<std::string> names;
  for (const auto& [name, make] : kSets) names.emplace_back(name);
  const auto known = std::ranges::find(names, p.name);
  if (known == names.end()) {
    const std::string nearest = nearest_name(p.name, names);
    fail(ErrorKind::usage, "prepare: unknown set '{}'; {}", p.name,
         nearest.empty() ? "expected stamps, clipart, fashion-mnist or digits"
                         : "did you mean " + nearest + "?");
  }
  const JobClock clock;
  const PreparedSet set = kSets[known - names.begin()].second(p.options);
  line.clear();
  print_result(set.made ? fmt::format("{}: {} pictures for training, {} for validation{}, {:.1f} s",
                                      set.folder, grouped(set.train), grouped(set.val),
                                      left_out_text(set, p.options.max_pixels), clock.seconds())
                        : fmt::format("{}: was there already", set.folder));
  return 0;
}

void expect_places(const std::vector<std::string>& places) {
  expect(!places.empty(), "PLACE: none is given; name folders, files or tar shards");
}

int run_check(const Check& c, bool json, ProgressLine& line) {
  expect_places(c.places);
  const JobClock clock;
  const CheckResult result = check_pictures(open_parts(c.places), c.options);
  line.clear();
  if (!c.list.empty()) {
    std::string lines;
    for (const BadPicture& bad : result.bad) lines += bad.file + "\n";
    write_atomic(c.list, lines);
  }
  if (json) {
    print_result(to_json(result));
  } else {
    for (const BadPicture& bad : result.bad)
      print_result(fmt::format("{}: {}", bad.file, bad.reason));
    print_result(fmt::format("{} pictures, {} bytes: {} bad, {} whole with warnings, {:.1f} s",
                             grouped(result.pictures), grouped(result.bytes),
                             grouped(static_cast<int64_t>(result.bad.size())),
                             grouped(result.warnings), clock.seconds()));
  }
  if (result.bad.empty()) return 0;
  fail(ErrorKind::data, "{}: {} of {} pictures are bad; replace or remove them", c.places[0],
       result.bad.size(), result.pictures);
}

int run_statistics(const Statistics& s, bool json, ProgressLine& line) {
  expect_places(s.places);
  check_transform(s.options.transform);
  std::vector<PartStatistics> parts;
  for (const PicturePart& part : open_parts(s.places)) {
    parts.push_back(part_statistics(part, s.options));
    line.clear();
    if (parts.back().bad > 0)
      print_warning(fmt::format("{}: {} bad pictures left out; list them with pal-data check",
                                part.name, parts.back().bad));
    if (!json) print_result(to_text(parts.back(), s.options.transform));
  }
  if (json) print_result(to_json(parts, s.options.transform));
  return 0;
}

int run_pack(const PackOptions& p, ProgressLine& line) {
  expect(!p.folder.empty(), "DIR: none is given; name the folder to pack");
  expect(!p.output.empty(), "--output: none is given; name the folder of the shards");
  expect(p.shards >= 1, "--shards: none are given; say how many for the training pictures");
  const JobClock clock;
  const PackResult result = pack_shards(p);
  line.clear();
  print_result(result.made
                   ? fmt::format("{}: {} pictures in {} shards, {:.1f} s", result.folder,
                                 grouped(result.pictures), grouped(result.shards), clock.seconds())
                   : fmt::format("{}: was there already, of pictures of the same names; remove it "
                                 "to pack anew",
                                 result.folder));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(kName, "Makes, checks, measures and packs data sets of pictures.");
    Options options;
    Prepare prepare;
    Check check;
    Statistics statistics;
    PackOptions pack;
    const OptionTable& preparing = add_prepare(table, prepare, options);
    const OptionTable& checking = add_check(table, check, options);
    const OptionTable& measuring = add_statistics(table, statistics, options);
    add_pack(table, pack, options);
    const ParsedCommand command = parse_command_line(table, argc, argv);
    if (command.answered) return 0;
    if (command.table == &table)
      fail(ErrorKind::usage, "command line: expected prepare, check, stats or pack; see --help");
    if (options.quiet) set_log_level(LogLevel::quiet);
    command.table->check_effects(true);
    ProgressLine line(options.progress, options.quiet);
    const auto give = [&](auto& o) {
      o.workers = options.workers;
      o.show = [&](const std::string& text) { line.show(text); };
    };
    give(prepare.options);
    give(check.options);
    give(statistics.options);
    give(pack);
    if (command.table == &preparing) return run_prepare(prepare, line);
    if (command.table == &checking) return run_check(check, options.json, line);
    if (command.table == &measuring) return run_statistics(statistics, options.json, line);
    return run_pack(pack, line);
  });
}
