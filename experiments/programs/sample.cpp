#include <fmt/format.h>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/sampling/judge_report.h"
#include "experiments/sampling/morph_sheet.h"
#include "experiments/sampling/sample_sheets.h"
#include "layers/checkpoint/checkpoint.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-sample";

int run(SampleOptions options) {
  const Device device = apply_run_options(options.run);
  const LoadedModel loaded = load_for_run(options.checkpoint, options.run, device);
  std::vector<ClassSpread> spreads;
  if (options.kind == SampleKind::samples)
    spreads = sample_spreads(options, loaded, sampled_classes(options, loaded));
  if (options.kind == SampleKind::morph)
    spreads = sample_spreads(options, loaded, morphed_classes(options, loaded));
  SampleSheet made = make_sample_sheet(options, loaded, spreads);
  if (!options.judge.empty()) {
    JudgeReport judged = ask_judge(options, loaded, spreads, device);
    made.json["judge"] = std::move(judged.json);
    made.lines.push_back(std::move(judged.text));
  }
  write_png(options.output, sheet_image(made.sheet));
  if (options.run.json) {
    print_result(json_text(made.json, -1, BadUtf8::replaced));
    return 0;
  }
  for (const std::string& line : made.lines) print_result(line);
  print_result(fmt::format("{} pictures in {}", made.pictures, options.output));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(
        kName,
        "Images from a trained model: samples of its classes, reconstructions, interpolations,\n"
        "images of one class that are made another.\n\n"
        "  pal-sample run --class coat -n 16 -o coats.png\n"
        "  pal-sample run --real 3 --judge resnet          as good as what another model sees in "
        "them\n"
        "  pal-sample run --temperature 0.5,0.7,1 -n 4     side by side, from the same noise\n"
        "  pal-sample run --morph coat trouser -n 3        the first three coats become trousers\n"
        "  pal-sample run --morph 4 1 --images 6,10 --steps 7 --reach 1.5\n"
        "  pal-sample run --reconstruct 8 -o rebuilt.png\n"
        "  pal-sample run photos --interpolate cats/003.jpg dogs/017.jpg -o line.png");
    SampleOptions options;
    add_sample_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    finish_sample_options(options);
    options.checkpoint = checkpoint_of(options.checkpoint);
    return run(std::move(options));
  });
}
