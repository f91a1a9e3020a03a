#include "experiments/datasets/corrupt_options.h"

#include <algorithm>
#include <filesystem>

#include "experiments/command_line/output_file.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/paths.h"
#include "runtime/processors.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

bool is_given(const OptionTable& table, const char* option) {
  return table.find(option)->is_given();
}

/// Refuses an option that was given but would change nothing.
void refuse(const OptionTable& table, const char* option, const char* why) {
  expect(!is_given(table, option), "--{}: {}", option, why);
}

/// A tree inside the set would be read as a part of it the next time.
void refuse_inside(const std::string& place, const std::string& output) {
  if (!path_is_folder(place)) return;
  const fs::path outer = canonical_path(place);
  for (fs::path inner = canonical_path(output); inner.has_relative_path();
       inner = inner.parent_path())
    expect(inner != outer, "--output: {} lies in {}, which is read; choose a folder elsewhere",
           one_line(output), one_line(place));
}

/// What a tree must share with one that it continues.
std::string settings_text(const CorruptOptions& o, bool encoded) {
  const CorruptTreeOptions& tree = o.tree;
  nlohmann::ordered_json json = {{"seed", tree.how.seed}};
  if (tree.groups) json["groups"] = true;
  json["parameters"] = tree.how.parameters ? name_of(*tree.how.parameters) : "auto";
  if (encoded) {
    if (o.clean.as_is) {
      json["size"] = "as-is";
    } else {
      json["size"] = o.clean.transform.size;
      json["resize"] = resize_of(o.clean.transform);
      json["channels"] = o.clean.transform.channels;
    }
  }
  json["format"] = tree.png ? "png" : "jpeg";
  if (!tree.png) json["quality"] = tree.quality;
  json["glass_copy"] = tree.how.glass_copy ? (*tree.how.glass_copy ? "yes" : "no") : "auto";
  json["frost"] = tree.how.frost_pictures ? "photographs" : "procedural";
  if (tree.how.frost_five) json["frost_five"] = true;
  return json_text(json, -1, BadUtf8::replaced);
}

void check_sheet(const OptionTable& table, const CorruptOptions& o) {
  if (o.sheet.empty()) {
    refuse(table, "image", "chooses the image of a sheet; add --sheet FILE.png");
    return;
  }
  expect(lower_case(fs::path(o.sheet).extension().string()) == ".png",
         "--sheet: {}: sheets are written as PNG; name a .png file", one_line(o.sheet));
  check_output_file("--sheet", o.sheet);
}

void check_tree(const OptionTable& table, const CorruptOptions& o) {
  if (!o.tree.output.empty()) {
    refuse_inside(o.set.name, o.tree.output);
    if (o.tree.png) refuse(table, "quality", "is of JPEG, and --format png was given");
    return;
  }
  for (const char* option : {"count", "format", "quality", "groups", "workers"})
    refuse(table, option, "is about a tree of pictures; name its folder with --output");
}

}  // namespace

void add_corrupt_options(OptionTable& table, CorruptOptions& o) {
  TransformSpec& transform = o.clean.transform;
  CorruptionOptions& how = o.tree.how;
  table.positional("SET", o.set.name,
                   "A folder of class folders, tar shards, or a set known by name; its test part");
  table.group("What to make");
  table.text("output", o.tree.output, "Folder of the tree of corrupted pictures")
      .letter('o')
      .unit("DIR");
  table.file("sheet", o.sheet,
             "Write one image under all corruptions and severities as a PNG file");
  table.whole("image", o.image, "Which image the sheet shows, counted from 0")
      .at_least(0)
      .shown_default("0");
  add_corruption_choice(table, o.choice);
  table.whole("count", o.tree.count, "Images, spread evenly over the set")
      .letter('n')
      .at_least(1)
      .shown_default("all");
  table.group("Images");
  table.whole("image-size", transform.size, "Side of the square that a network would see")
      .unit("PIXELS");
  table
      .whole("resize", transform.resize,
             "Shorter side before the crop; auto: 256 for 224, else in proportion")
      .unit("PIXELS")
      .word("auto", 0);
  table.whole("channels", transform.channels, "3, or 1 for grey");
  table.toggle("as-is", o.clean.as_is, "Pictures in their own size, uncut, in colour");
  add_pixel_limit(table, transform.limits.max_pixels);
  table.group("Corruptions");
  add_seed_option(table, how.seed);
  table.choice<std::optional<ParameterSet>>(
      "parameters", how.parameters,
      {{"auto", std::nullopt},
       {"imagenet", ParameterSet::imagenet},
       {"cifar", ParameterSet::cifar}},
      "Strengths of ImageNet-C or CIFAR-10-C; auto: of ImageNet-C from 64 pixels on");
  table.choice<std::optional<bool>>(
      "glass-copy", how.glass_copy, {{"auto", std::nullopt}, {"yes", true}, {"no", false}},
      "Glass blur copies colours one way, as in the published sets, instead of exchanging them; "
      "auto: in colour");
  table
      .text("frost", o.frost_folder,
            "Folder of the six frost photographs (the PyPI package imagecorruptions has them)")
      .unit("DIR")
      .shown_default("none: a procedural texture, unlike the published frost");
  table.toggle("frost-five", how.frost_five,
               "Draw only the first five of them, as for the published sets");
  table.group("Files");
  table.choice<bool>("format", o.tree.png, {{"jpeg", false}, {"png", true}},
                     "Of the pictures: JPEG as published, or without loss");
  table.whole("quality", o.tree.quality, "Of JPEG, 4:2:0").at_least(1).at_most(100);
  table.toggle("groups", o.tree.groups, "Put corruptions into folders of their groups: noise/...");
  table.group("Run");
  table.whole("workers", o.tree.workers, "Threads").letter('j').at_least(1).at_most(1024);
  add_progress_option(table, o.progress);
  add_quiet_option(table, o.quiet);
}

void finish_corrupt_options(const OptionTable& table, CorruptOptions& o) {
  expect(!o.set.name.empty(), "SET: none is given; name a folder of class folders or a known set");
  expect(!o.tree.output.empty() || !o.sheet.empty(),
         "command line: nothing to make; name a folder with --output, or a picture with --sheet");
  o.tree.corruptions = corruptions_of(o.choice.names);
  o.tree.severities = severities_of(o.choice);
  check_sheet(table, o);
  check_tree(table, o);
  const bool encoded = is_encoded(o.set);
  for (const char* option : {"image-size", "resize", "channels", "as-is", "max-pixels"})
    if (!encoded) refuse(table, option, "images of this set have a size of their own");
  if (o.clean.as_is)
    for (const char* option : {"image-size", "resize", "channels"})
      refuse(table, option, "does not go with --as-is");
  check_transform(o.clean.transform);
  const auto has = [&](Corruption corruption) {
    return std::ranges::find(o.tree.corruptions, corruption) != o.tree.corruptions.end();
  };
  if (!has(Corruption::glass_blur)) refuse(table, "glass-copy", "glass_blur is not asked for");
  if (!has(Corruption::frost)) refuse(table, "frost", "frost is not asked for");
  if (o.frost_folder.empty())
    refuse(table, "frost-five", "chooses among photographs; name their folder with --frost");
  else
    o.tree.how.frost_pictures =
        std::make_shared<FrostPictures>(read_frost_pictures(o.frost_folder));
  o.tree.settings = settings_text(o, encoded);
}

}  // namespace pal
