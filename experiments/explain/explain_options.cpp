#include "experiments/explain/explain_options.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "experiments/command_line/output_file.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// `any_number`: as many images as there are may be asked for, as they pass in batches.
void add_common(OptionTable& table, ExplainOptions& o, bool any_number = false) {
  table.positional("CHECKPOINT", o.checkpoint, "A run folder or a checkpoint of a flow");
  table.positional("DIR", o.data.folder,
                   "Folder with the data, for test images; else those the run was trained on");
  table.group("What to explain");
  table
      .text("images", o.images_text,
            "Test images: numbers, or names such as CLASS/003.jpg, with commas between")
      .unit("LIST")
      .shown_default("--count of them");
  Option& count = table.whole("count", o.count, "Test images, one of each class in turn")
                      .letter('n')
                      .at_least(1);
  if (any_number)
    count.word("all", 0);
  else
    count.at_most(1000);
}

void add_output(OptionTable& table, ExplainOptions& o, const char* file) {
  table.group("Output");
  table.text("output", o.output, "PNG file; the numbers stand beside it as CSV and safetensors")
      .letter('o')
      .unit("FILE")
      .shown_default(file);
  table
      .whole(
          "scale", o.scale,
          "Pixels that each pixel becomes in both directions; auto: pictures of about 140 pixels")
      .at_least(1)
      .at_most(16)
      .word("auto", 0);
  table.group("Test images");
  add_data_options(table, o.data);
  add_run_options(table, o.run);
}

}  // namespace

void add_heatmap_options(OptionTable& table, ExplainOptions& o) {
  add_common(table, o);
  table.texts("class", o.classes, "A class whose map is drawn, by number or name")
      .unit("CLASS")
      .shown_default("the three likeliest of each image");
  table.choice<Share>(
      "share", o.share,
      {{"contrast", Share::contrast}, {"proportional", Share::proportional}, {"even", Share::even}},
      "How what belongs to no class is shared among positions: as the paper does (with its "
      "constant "
      "0.03), in proportion to the saliency, or evenly");
  add_output(table, o, "heatmap.png");
}

void add_evidence_options(OptionTable& table, ExplainOptions& o) {
  add_common(table, o);
  table.text("for", o.evidence_for, "The class that evidence speaks for, by number or name")
      .unit("CLASS")
      .shown_default("the predicted one");
  table
      .text("against", o.evidence_against,
            "The class that it speaks against; label: the image's own, where that is another")
      .unit("CLASS")
      .shown_default("the next likely one");
  add_output(table, o, "evidence.png");
}

namespace {

void add_svg_output(OptionTable& table, ExplainOptions& o, const char* file) {
  table.group("Output");
  table.text("output", o.output, "SVG file; the numbers stand beside it as CSV")
      .letter('o')
      .unit("FILE")
      .shown_default(file);
}

/// What the figures of images that are drawings share.
void add_drawing(OptionTable& table, ExplainOptions& o, const char* file) {
  add_svg_output(table, o, file);
  table.group("Test images");
  add_data_options(table, o.data);
  add_run_options(table, o.run);
}

}  // namespace

void add_check_options(OptionTable& table, ExplainOptions& o) {
  o.count = 200;
  add_common(table, o);
  table.choice<Fill>("fill", o.fill,
                     {{"zero", Fill::zero}, {"mean", Fill::mean}, {"blur", Fill::blur}},
                     "What cells are filled with in the curves: level 0, the image's mean, or the "
                     "image blurred; the table has all three");
  add_drawing(table, o, "check.svg");
}

void add_similarity_options(OptionTable& table, ExplainOptions& o) {
  table.positional("CHECKPOINT", o.checkpoint, "A run folder or a checkpoint of a flow");
  table.group("What to compare");
  table.texts("class", o.classes, "A class in the picture, by number or name")
      .unit("CLASS")
      .shown_default("all");
  table.choice<bool>("order", o.by_dendrogram, {{"dendrogram", true}, {"file", false}},
                     "Alike classes side by side, or the order of the checkpoint");
  table.whole("pairs", o.pairs, "Most alike and most unlike pairs that are named")
      .at_least(1)
      .at_most(1000);
  add_svg_output(table, o, "similarity.svg");
  add_run_options(table, o.run);
}

void add_decision_options(OptionTable& table, ExplainOptions& o) {
  o.count = 1;
  add_common(table, o);
  table.toggle("affine", o.affine,
               "The hull of the means, one dimension less, in place of their span from the origin");
  add_drawing(table, o, "decision.svg");
}

void add_dct_options(OptionTable& table, ExplainOptions& o) {
  o.count = 1000;
  add_common(table, o);
  add_drawing(table, o, "dct.svg");
}

void add_receptive_field_options(OptionTable& table, ExplainOptions& o) {
  o.count = 100;
  add_common(table, o);
  table
      .whole("channels", o.channels,
             "Features at the centre that are differentiated, drawn at random where there are more")
      .at_least(1)
      .word("all", 0);
  add_drawing(table, o, "receptive-field.svg");
}

void add_plane_options(OptionTable& table, ExplainOptions& o) {
  o.count = 0;
  add_common(table, o, true);
  table.texts("class", o.classes, "A class in the plane, by number or name; at least 3")
      .unit("CLASS")
      .shown_default("all, or the first 10");
  table.group("Fine-tuning");
  table.choice<bool>("finetune", o.whole_network, {{"plane", false}, {"all", true}},
                     "What learns on the training images: the plane and the places in it, with the "
                     "classes' loss; or the whole network too, with its own loss");
  table.number("epochs", o.epochs, "Passes over the training images of the classes").above(0.0);
  table
      .number(
          "beta", o.beta,
          "Of the loss under --finetune all: more tells classes apart better, and costs density")
      .at_least(0.0)
      .word("auto", -1.0)
      .word("inf", std::numeric_limits<double>::infinity())
      .shown_default("as the model was trained");
  table.number("lr", o.learning_rate, "Largest learning rate of the network, under --finetune all")
      .at_least(0.0)
      .word("auto", -1.0)
      .shown_default("as the model was trained");
  table.number("lr-mu", o.learning_rate_means, "Largest learning rate of the class means")
      .at_least(0.0)
      .word("auto", -1.0)
      .shown_default("0.2 for the plane alone; under all thrice the rate of training");
  table.whole("batch-size", o.batch_size, "Training images per step")
      .letter('b')
      .at_least(1)
      .word("auto", 0)
      .shown_default("as the model was trained");
  add_drawing(table, o, "plane.svg");
}

std::vector<int64_t> explained_indices(const ExplainOptions& o, const TestImages& from) {
  std::vector<int64_t> indices;
  for (const std::string& text : o.images)
    indices.push_back(named_image(*from.set, text, "--images"));
  if (!indices.empty()) return indices;
  const auto available =
      from.indices.empty() ? from.set->info().count : static_cast<int64_t>(from.indices.size());
  if (o.count == 0) return spread_over_classes(*from.set, available, from.indices);
  if (available < o.count)
    log_info("{} has {} test images: all of them", from.set->info().name, available);
  return spread_over_classes(*from.set, std::min(o.count, available), from.indices);
}

void finish_explain_options(const OptionTable& table, ExplainOptions& o,
                            const ExplainOutputs& outputs) {
  expect(!o.checkpoint.empty(), "CHECKPOINT: none is given; name a run folder or a checkpoint");
  if (!o.images_text.empty()) {
    expect(!table.find("count")->is_given(), "--images, -n: give one of them");
    o.images = listed_images(o.images_text);
    for (size_t i = 0; i < o.images.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        expect(o.images[i] != o.images[j], "--images: {} is given twice", o.images[i]);
  }
  for (size_t i = 0; i < o.classes.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      expect(o.classes[i] != o.classes[j], "--class: {} is given twice", o.classes[i]);
  if (const Option* const finetune = table.find("finetune"); finetune != nullptr)
    for (const char* name : {"beta", "lr"})
      expect(o.whole_network || !table.find(name)->is_given(),
             "--{}: says something of the network, which learns under --finetune all alone", name);
  expect(!o.run.json || outputs.answers_json,
         "--json: has no effect here; the numbers stand in the CSV file beside the picture");
  if (o.output.empty()) o.output = outputs.usual;
  const std::filesystem::path output(o.output);
  const std::string suffix = std::filesystem::path(outputs.usual).extension().string();
  expect(!output.has_filename() || lower_case(output.extension().string()) == suffix,
         "-o: {}: written as {}; name the file {}", o.output, suffix.substr(1),
         std::filesystem::path(output).replace_extension(suffix).string());
  check_output_file("-o", o.output);
  for (const std::string& beside : outputs.beside)
    check_output_file("-o", std::filesystem::path(output).replace_extension(beside).string());
  settle_data(o.data);
}

}  // namespace pal
