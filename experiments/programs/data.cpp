#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "experiments/command_line/program.h"
#include "experiments/datasets/data_check.h"
#include "experiments/datasets/data_pack.h"
#include "experiments/datasets/data_statistics.h"
#include "experiments/datasets/jobs.h"
#include "experiments/datasets/prepare.h"
#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-data";

/// What all sub-commands have.
struct Options {
  int64_t workers = std::max(1U, std::thread::hardware_concurrency());
  std::string progress = "auto";
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

void add_common(CLI::App& app, Options& o, bool with_json) {
  app.add_option("-j,--workers", o.workers, "threads that decode")->capture_default_str();
  app.add_option("--progress", o.progress, "auto, never or always")->capture_default_str();
  app.add_flag("-q,--quiet", o.quiet, "no log and no progress");
  if (with_json) app.add_flag("--json", o.json, "answer in JSON");
}

CLI::App* add_prepare(CLI::App& app, Prepare& p, Options& o) {
  CLI::App* prepare = app.add_subcommand(
      "prepare", "make a data set from Debian packages: stamps, clipart, fashion-mnist, digits");
  prepare->add_option("NAME", p.name, "stamps, clipart, fashion-mnist or digits")->required();
  prepare->add_option("-o,--output", p.options.output,
                      "folder of the set (default: below $PALINDROME_DATA or the cache folder)");
  prepare->add_option("--seed", p.options.seed, "of what is random")->capture_default_str();
  prepare->add_option("--size", p.options.size, "stamps: side of the pictures")
      ->capture_default_str();
  prepare->add_option("--count", p.options.count, "stamps: training pictures of each class")
      ->capture_default_str();
  prepare
      ->add_option("--val-count", p.options.val_count, "stamps: validation pictures of each class")
      ->capture_default_str();
  prepare->add_option("--max-pixels", p.options.max_pixels, "clipart: leave out larger pictures")
      ->capture_default_str();
  prepare->add_option("--package", p.options.packages, "a .deb file to use instead of a download")
      ->type_name("FILE");
  add_common(*prepare, o, false);
  return prepare;
}

CLI::App* add_check(CLI::App& app, Check& c, Options& o) {
  CLI::App* check = app.add_subcommand(
      "check", "decode every picture and list the bad ones: exit 3 if there is one");
  check->add_option("PLACE", c.places, "folders, files, or tar shards as a pattern")->required();
  check->add_option("--list", c.list, "write the paths of the bad ones to this file")
      ->type_name("FILE");
  check->add_option("--max-pixels", c.options.max_pixels, "refuse larger pictures")
      ->capture_default_str();
  add_common(*check, o, true);
  return check;
}

CLI::App* add_statistics(CLI::App& app, Statistics& s, Options& o) {
  CLI::App* stats = app.add_subcommand(
      "stats", "classes, sizes, formats, mean and deviation of the levels as training sees them");
  TransformSpec& transform = s.options.transform;
  stats->add_option("PLACE", s.places, "folders, files, or tar shards as a pattern")->required();
  stats->add_option("--image-size", transform.size, "side of the square that training sees")
      ->capture_default_str();
  stats->add_option("--resize", transform.resize,
                    "shorter side before the crop (default: 256 for 224, else in proportion)");
  stats->add_option("--channels", transform.channels, "3, or 1 for grey")->capture_default_str();
  stats->add_option("--max-pixels", transform.limits.max_pixels, "leave out larger pictures")
      ->capture_default_str();
  add_common(*stats, o, true);
  return stats;
}

CLI::App* add_pack(CLI::App& app, PackOptions& p, Options& o) {
  CLI::App* pack = app.add_subcommand("pack", "write tar shards of a folder, in shuffled order");
  pack->add_option("DIR", p.folder, "a folder with train/CLASS and perhaps val/CLASS")->required();
  pack->add_option("-o,--output", p.output, "folder of the shards")->required();
  pack->add_option("--shards", p.shards, "of the training pictures")->required();
  pack->add_option("--seed", p.seed, "of the order")->capture_default_str();
  add_common(*pack, o, false);
  return pack;
}

ProgressMode progress_mode(const std::string& word) {
  if (word == "never") return ProgressMode::never;
  if (word == "always") return ProgressMode::always;
  expect(word == "auto", "--progress: expected auto, never or always, got '{}'", word);
  return ProgressMode::automatic;
}

void apply(const Options& o) {
  constexpr int64_t kMostWorkers = 1024;
  expect(o.workers >= 1 && o.workers <= kMostWorkers, "--workers: expected 1 to {}, got {}",
         kMostWorkers, o.workers);
  if (o.quiet) set_log_level(LogLevel::quiet);
}

void expect_pixels(int64_t max_pixels) {
  constexpr int64_t kMost = int64_t{1} << 40;
  expect(max_pixels >= 1 && max_pixels <= kMost, "--max-pixels: expected 1 to {}, got {}", kMost,
         max_pixels);
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
  expect_pixels(p.options.max_pixels);
  const JobClock clock;
  const PreparedSet set = kSets[known - names.begin()].second(p.options);
  line.clear();
  print_result(set.made ? fmt::format("{}: {} pictures for training, {} for validation{}, {:.1f} s",
                                      set.folder, grouped(set.train), grouped(set.val),
                                      left_out_text(set, p.options.max_pixels), clock.seconds())
                        : fmt::format("{}: was there already", set.folder));
  return 0;
}

int run_check(const Check& c, bool json, ProgressLine& line) {
  expect_pixels(c.options.max_pixels);
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
  expect_pixels(s.options.transform.limits.max_pixels);
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
  const JobClock clock;
  const PackResult result = pack_shards(p);
  line.clear();
  print_result(result.made
                   ? fmt::format("{}: {} pictures in {} shards, {:.1f} s", result.folder,
                                 grouped(result.pictures), grouped(result.shards), clock.seconds())
                   : fmt::format("{}: was there already", result.folder));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app("Makes, checks, measures and packs data sets of pictures.", kName);
    Options options;
    Prepare prepare;
    Check check;
    Statistics statistics;
    PackOptions pack;
    const CLI::App* preparing = add_prepare(app, prepare, options);
    const CLI::App* checking = add_check(app, check, options);
    const CLI::App* measuring = add_statistics(app, statistics, options);
    add_pack(app, pack, options);
    app.require_subcommand(1);
    if (!pal::parse_options(app, argc, argv)) return 0;
    apply(options);
    ProgressLine line(progress_mode(options.progress), options.quiet);
    const auto give = [&](auto& o) {
      o.workers = options.workers;
      o.show = [&](const std::string& text) { line.show(text); };
    };
    give(prepare.options);
    give(check.options);
    give(statistics.options);
    give(pack);
    if (preparing->parsed()) return run_prepare(prepare, line);
    if (checking->parsed()) return run_check(check, options.json, line);
    if (measuring->parsed()) return run_statistics(statistics, options.json, line);
    return run_pack(pack, line);
  });
}
