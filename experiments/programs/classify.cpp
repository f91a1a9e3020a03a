#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "experiments/classify/answer_text.h"
#include "experiments/classify/attack_detector.h"
#include "experiments/classify/request_source.h"
#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/training/stop_signal.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-classify";
constexpr const char* kDescription =
    "What a trained model makes of pictures: classes, how sure it is, and whether it knows such "
    "pictures.\n\n"
    "  pal-classify run coat.png shoe.jpg\n"
    "  pal-classify run photos --json > answers.jsonl      a line for each picture below it\n"
    "  find photos -name '*.jpg' | pal-classify run - --json\n"
    "  echo '{\"id\": 7, \"image\": \"iVBORw0...\"}' | pal-classify run - --json\n\n"
    "On stdin a line is a name, or a JSON object of file (a name) or image (base64 of a PNG or "
    "JPEG\n"
    "file) and perhaps id, which the answer repeats. Lines are answered in order and at once.\n\n"
    "Sets of classes and p-values need the calibration that pal-evaluate RUN --calibrate makes.";

std::unique_ptr<RequestSource> requests_of(const ClassifyOptions& o, const StopSignal& stop) {
  if (o.images[0] != "-") return std::make_unique<ListedRequests>(o.images);
  return std::make_unique<PipedRequests>(STDIN_FILENO, o.null_names ? '\0' : '\n',
                                         [&stop] { return stop.caught() != 0; });
}

int run(ClassifyOptions options) {
  const Device device = apply_run_options(options.run);
  options.checkpoint = checkpoint_of(options.checkpoint);
  const StopSignal stop;
  const auto requests = requests_of(options, stop);
  Classifier classifier(options, device);
  int64_t unreadable = 0;
  // Nobody reads any more: the rest would be for nothing.
  while (std::ferror(stdout) == 0 && stop.caught() == 0) {
    const std::vector<PictureRequest> batch = requests->next(options.batch_size);
    if (batch.empty()) break;
    for (const Answer& answer : classifier.classify(batch)) {
      if (!answer.error.empty()) ++unreadable;
      if (options.run.json)
        print_result(to_json(answer, classifier, options));
      else if (answer.error.empty())
        print_result(to_text(answer, classifier, options));
      else
        print_warning(answer.error);
    }
    std::fflush(stdout);
  }
  if (stop.caught() != 0) return stop.exit_code();
  if (unreadable == 0) return 0;
  print_error(
      kName, fmt::format("{} picture{} could not be read", unreadable, unreadable == 1 ? "" : "s"));
  return exit_code(ErrorKind::data);
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(kName,
                      fmt::format("{}\n\n{}\n{}", kDescription, kAttackDetector, kAttackRates));
    ClassifyOptions options;
    add_classify_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    check_classify_options(options);
    return run(options);
  });
}
