#include <fmt/format.h>

#include <filesystem>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/pages/report_page.h"
#include "runtime/file.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-report";

int run(const ReportOptions& options) {
  const Device device = apply_run_options(options.run);
  const ReportPage page = make_report(options, device);
  write_atomic(options.output, page.html);
  if (!page.card.empty()) write_atomic(card_path(options.output), page.card);
  print_result(fmt::format("report in {}{}", options.output,
                           page.card.empty() ? "" : ", model card in README.md beside it"));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(kName,
                      "A page about a run that can be read without knowing the programs: how good "
                      "it is, what it confuses, whether its confidence can be believed, what it "
                      "has not seen, and why it answers as it does. Several runs stand side by "
                      "side.\n\n"
                      "  pal-report run                     writes run/report.html\n"
                      "  pal-report run --ood digits --card\n"
                      "  pal-report beta_0 beta_1 beta_4 -o sweep.html");
    ReportOptions options;
    add_report_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    finish_report_options(options);
    return run(options);
  });
}
