#include <filesystem>

#include "experiments/command_line/output_file.h"
#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/explain/check_report.h"
#include "experiments/explain/class_figures.h"
#include "experiments/explain/map_sheets.h"
#include "experiments/explain/plane_figure.h"
#include "experiments/explain/plane_training.h"
#include "experiments/explain/receptive_field_figure.h"
#include "experiments/trust/model_calibration.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-explain";

using MakeSheet = MapSheet (*)(const ExplainOptions&, const LoadedModel&,
                               const std::vector<ExplainedImage>&);

std::string beside(const std::string& file, const char* suffix) {
  return std::filesystem::path(file).replace_extension(suffix).string();
}

/// The model of the options, whose checkpoint is found.
LoadedModel open_model(ExplainOptions& options) {
  expect(options.data.bad_images == BadImages::error,
         "--bad-images skip: a picture that is to be explained is not left out; choose others with "
         "--images");
  const Device device = apply_run_options(options.run);
  options.checkpoint = checkpoint_of(options.checkpoint);
  return load_for_run(options.checkpoint, options.run, device);
}

int run_maps(ExplainOptions options, MakeSheet make) {
  const LoadedModel loaded = open_model(options);
  const auto images = explain_images(options, loaded);
  const MapSheet made = make(options, loaded, images);
  const std::string csv = beside(options.output, ".csv");
  write_atomic(csv, maps_csv(made));
  write_map_arrays(beside(options.output, ".safetensors"), made, model_digest(loaded));
  write_png(options.output, sheet_image(made.sheet));
  for (const std::string& line : made.lines) print_result(line);
  print_result(fmt::format("{} images in {}, numbers in {} and .safetensors", images.size(),
                           options.output, csv));
  return 0;
}

int run_check(ExplainOptions options) {
  const LoadedModel loaded = open_model(options);
  flow_of(loaded, options.checkpoint);
  const TestImages from = open_test_images(options.data, options.checkpoint, loaded);
  const Faithfulness found =
      check_faithfulness(loaded, options.checkpoint, from,
                         {explained_indices(options, from), options.fill, options.run.seed});
  const std::string csv = beside(options.output, ".csv");
  write_atomic(csv, to_csv(found));
  write_atomic(options.output, to_svg(found, options.fill));
  print_result(options.run.json ? to_json(found) : to_text(found));
  if (!options.run.json)
    print_result(fmt::format("curves in {}, numbers in {}", options.output, csv));
  return 0;
}

/// The plane's own model stands beside its figure.
Figure plane_beside(const ExplainOptions& options, const LoadedModel& loaded) {
  const std::string model = beside(options.output, ".safetensors");
  // That of an earlier call may be replaced, other models not.
  if (!is_plane_checkpoint(model)) check_output_file("-o", model);
  return plane_figure(options, loaded, model);
}

using MakeFigure = Figure (*)(const ExplainOptions&, const LoadedModel&);

int run_figure(ExplainOptions options, MakeFigure make) {
  const LoadedModel loaded = open_model(options);
  const Figure figure = make(options, loaded);
  const std::string csv = beside(options.output, ".csv");
  write_atomic(csv, figure.csv);
  write_atomic(options.output, figure.svg);
  std::string picture;
  if (!figure.picture.pixels.empty()) {
    const std::string png = beside(options.output, ".png");
    write_png(png, figure.picture);
    picture = fmt::format(", as a picture in {}", png);
  }
  for (const std::string& line : figure.lines) print_result(line + "\n");
  print_result(fmt::format("drawn in {}{}, numbers in {}", options.output, picture, csv));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(
        kName,
        "Why a flow answers as it does: what positions, classes and components say.\n\n"
        "  pal-explain heatmap run -o maps.png\n"
        "  pal-explain evidence run --images 17,42\n"
        "  pal-explain evidence run --against label     why it is not the right class\n"
        "  pal-explain check run                        whether the maps mean anything");
    ExplainOptions heatmap;
    ExplainOptions evidence;
    OptionTable& heatmaps = table.command(
        "heatmap", "Posterior maps of the likeliest classes, which sum to ln q(class | image)");
    add_heatmap_options(heatmaps, heatmap);
    OptionTable& evidences = table.command(
        "evidence", "Evidence for a class against another, which sums to their log-odds");
    add_evidence_options(evidences, evidence);
    ExplainOptions check;
    OptionTable& checks = table.command(
        "check", "Do the maps mean anything? Fills cells in their order, and compares with chance");
    add_check_options(checks, check);
    struct Figure {
      const char* name;
      const char* description;
      void (*add_options)(OptionTable&, ExplainOptions&);
      MakeFigure make;
      ExplainOutputs outputs;
    };
    const Figure kFigures[] = {
        {"similarity",
         "How alike classes are: distances and the uncertainty to expect",
         add_similarity_options,
         similarity_figure,
         {"similarity.svg", {".csv"}}},
        {"decision",
         "An image among the means of its likeliest classes",
         add_decision_options,
         decision_figure,
         {"decision.svg", {".csv"}}},
        {"dct",
         "What the components of the DCT pooling tell of the classes",
         add_dct_options,
         dct_figure,
         {"dct.svg", {".csv", ".png"}}},
        {"receptive-field",
         "How far the features at the centre of the final map see",
         add_receptive_field_options,
         receptive_field_figure,
         {"receptive-field.svg", {".csv", ".png"}}},
        {"plane",
         "Classes in a plane of latent space, fine-tuned to lie there, with their cells",
         add_plane_options,
         plane_beside,
         {"plane.svg", {".csv"}}}};
    std::vector<ExplainOptions> figure_options(std::size(kFigures));
    std::vector<const OptionTable*> figure_tables;
    for (size_t i = 0; i < std::size(kFigures); ++i) {
      OptionTable& of_figure = table.command(kFigures[i].name, kFigures[i].description);
      kFigures[i].add_options(of_figure, figure_options[i]);
      figure_tables.push_back(&of_figure);
    }
    const ParsedCommand command = parse_command_line(table, argc, argv);
    if (command.answered) return 0;
    if (command.table == &table)
      fail(ErrorKind::usage,
           "command line: expected heatmap, evidence, check, similarity, decision, dct, "
           "receptive-field or plane; see --help");
    for (size_t i = 0; i < std::size(kFigures); ++i)
      if (command.table == figure_tables[i]) {
        finish_explain_options(*figure_tables[i], figure_options[i], kFigures[i].outputs);
        return run_figure(figure_options[i], kFigures[i].make);
      }
    if (command.table == &heatmaps) {
      finish_explain_options(heatmaps, heatmap, {"heatmap.png", {".csv", ".safetensors"}});
      return run_maps(heatmap, heatmap_sheet);
    }
    if (command.table == &checks) {
      finish_explain_options(checks, check, {"check.svg", {".csv"}, true});
      return run_check(check);
    }
    finish_explain_options(evidences, evidence, {"evidence.png", {".csv", ".safetensors"}});
    return run_maps(evidence, evidence_sheet);
  });
}
