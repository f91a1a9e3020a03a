#include "experiments/pages/report_options.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "experiments/command_line/output_file.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// A README.md that was written by hand must not be lost.
void expect_own_card(const std::string& path) {
  constexpr std::string_view kBegin = "---\nlibrary_name: palindrome\n";
  const auto begins_so = [&](const std::vector<uint8_t>& bytes) {
    return bytes.size() >= kBegin.size() && std::equal(kBegin.begin(), kBegin.end(), bytes.begin());
  };
  expect(!path_exists(path) || begins_so(read_file(path)),
         "--card: {} is no model card of pal-report, and would be lost; move it, or name a page in "
         "another folder by -o",
         path);
}

}  // namespace

void add_report_options(OptionTable& table, ReportOptions& o) {
  table.positionals("RUN", o.runs, "Run folders, or checkpoints");
  table.group("Page");
  table.text("output", o.output, "HTML file to write")
      .letter('o')
      .unit("FILE")
      .shown_default("report.html in the run's folder; here for a checkpoint or several runs");
  table.toggle("card", o.card,
               "Also write a model card, README.md beside the page, which model hubs read");
  table
      .texts("ood", o.ood,
             "Foreign images whose densities are shown beside the run's own, as pal-evaluate takes "
             "them: a set, a folder, an IDX file, or hflip, vflip, inverted, low-contrast, noise, "
             "shuffled, constant")
      .unit("SET");
  table.whole("count", o.images, "Test images that are evaluated at most, evenly spread")
      .letter('n')
      .at_least(1)
      .unit("IMAGES");
  table.group("Test images");
  add_data_options(table, o.data);
  add_run_options(table, o.run);
}

std::string card_path(const std::string& page) {
  return (std::filesystem::path(page).parent_path() / "README.md").string();
}

void finish_report_options(ReportOptions& o) {
  expect(!o.runs.empty(), "RUN: none is given; name a run folder or a checkpoint");
  const bool alone = o.runs.size() == 1;
  expect(alone || o.ood.empty(), "--ood: goes with one run; {} are given", o.runs.size());
  expect(alone || o.images == ReportOptions().images,
         "-n: goes with one run; several show what pal-evaluate --summary measured of them");
  expect(alone || !o.card, "--card: goes with one run; {} are given", o.runs.size());
  if (o.output.empty()) {
    o.output = alone && path_is_folder(o.runs[0])
                   ? (std::filesystem::path(o.runs[0]) / "report.html").string()
                   : std::string("report.html");
  }
  const std::string suffix = lower_case(std::filesystem::path(o.output).extension().string());
  expect(suffix == ".html" || suffix == ".htm", "-o: {}: written as HTML; name the file {}",
         o.output, std::filesystem::path(o.output).replace_extension(".html").string());
  check_output_file("-o", o.output);
  if (o.card) expect_own_card(card_path(o.output));
  settle_data(o.data);
}

}  // namespace pal
