#include <fmt/format.h>

#include <algorithm>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/datasets/corrupt_options.h"
#include "experiments/datasets/corrupt_sheet.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/processors.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-corrupt";

void make_sheet(const CorruptOptions& o, const CleanImages& images) {
  const int64_t index = std::max<int64_t>(o.image, 0);
  expect(index < images.count(), "--image: {} has {} images, got {}", images.name(), images.count(),
         index);
  const PictureSheet sheet = corruption_sheet(images.image(index), images.key(index),
                                              o.tree.corruptions, o.tree.severities, o.tree.how);
  write_png(o.sheet, sheet_image(sheet));
  print_result(fmt::format("{}: {} under {} corruptions at {} severities", o.sheet,
                           images.path(index), o.tree.corruptions.size(),
                           o.tree.severities.size()));
}

void make_tree(CorruptOptions& o, const CleanImages& images) {
  ProgressLine line(o.progress, o.quiet);
  o.tree.show = [&](const std::string& text) { line.show(text); };
  const JobClock clock;
  const CorruptTreeResult result = corrupt_tree(images, o.tree);
  line.clear();
  print_result(
      fmt::format("{}: {} images, {} corruptions at {} severities: {} pictures written{}, "
                  "{:.1f} s",
                  o.tree.output, grouped(result.images), o.tree.corruptions.size(),
                  o.tree.severities.size(), grouped(result.written),
                  result.there == 0 ? "" : fmt::format(", {} were there", grouped(result.there)),
                  clock.seconds()));
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(
        kName,
        "Corrupts the pictures of a set as ImageNet-C and CIFAR-10-C do: noise, blur, weather and\n"
        "digital damage at five severities. What is drawn depends on the seed, the corruption, "
        "the\n"
        "severity and the picture's path in the set alone. Writes the published tree,\n"
        "CORRUPTION/SEVERITY/CLASS/PICTURE; called again, only what is missing.\n\n"
        "  pal-corrupt imagenet -o imagenet-c --frost photographs\n"
        "  pal-corrupt fashion-mnist -o fashion-c -n 2000 --format png\n"
        "  pal-corrupt photos -o photos-c --corruptions noise,jpeg --severities 1,3,5 --as-is\n"
        "  pal-corrupt photos --sheet sheet.png --image 7    one picture under all of them");
    CorruptOptions options;
    options.tree.workers = usable_processors();
    add_corrupt_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    finish_corrupt_options(table, options);
    if (options.quiet) set_log_level(LogLevel::quiet);
    const auto images = clean_images(options.set, options.clean);
    const auto& chosen = options.tree.corruptions;
    if (std::ranges::find(chosen, Corruption::frost) != chosen.end() &&
        !options.tree.how.frost_pictures)
      print_warning(
          "frost: a procedural texture stands in for the photographs; --frost names them");
    // What does not fit the set is told before anything is written.
    const Image first = images->image(0);
    for (const Corruption corruption : chosen)
      check_corruption(first.height, first.width, first.channels, corruption,
                       options.tree.severities.front());
    if (!options.sheet.empty()) make_sheet(options, *images);
    if (!options.tree.output.empty()) make_tree(options, *images);
    return 0;
  });
}
