#include "experiments/sampling/sample_sheets.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "experiments/command_line/program.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/sampling.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Longer lists are cut to their beginning on stdout.
constexpr size_t kMostListed = 12;

std::string listed(const std::string& what, std::vector<std::string> texts) {
  const size_t all = texts.size();
  const bool cut = all > kMostListed;
  if (cut) texts.resize(kMostListed - 2);
  const std::string list = one_line(fmt::format("{}", fmt::join(texts, ", ")));
  return fmt::format("{}: {}{}", what, list, cut ? fmt::format(", ... ({} in all)", all) : "");
}

std::string class_name(const std::vector<std::string>& names, int64_t y) {
  const auto place = static_cast<size_t>(y);
  return place < names.size() ? names[place] : std::to_string(y);
}

/// "7 coat": a number and what it stands for.
std::string numbered(int64_t number, const std::string& name) {
  const std::string text = std::to_string(number);
  return name == text ? text : text + " " + name;
}

/// The magnification of a sheet of so many pictures, checked before they are made.
int64_t scale_for(const SampleOptions& o, const LoadedModel& loaded, int64_t pictures) {
  const int64_t side = loaded.model->config().image_size;
  const int64_t most = kMostSheetPixels / (pictures * side * side);  // of scale squared
  int64_t scale = o.scale == 0 ? sheet_scale(side) : o.scale;
  while (o.scale == 0 && scale > 1 && scale * scale > most) --scale;
  expect(scale * scale <= most, "-n: {} pictures of {}x{} pixels are too many for one sheet{}",
         pictures, side * scale, side * scale, scale > 1 ? "; lower --scale or -n" : "");
  return scale;
}

PictureSheet empty_sheet(const SampleOptions& o, const LoadedModel& loaded, int64_t pictures) {
  PictureSheet sheet;
  sheet.scale = scale_for(o, loaded, pictures);
  sheet.labels = o.labels;
  return sheet;
}

std::string class_of_image(const Dataset& set, int64_t index) {
  return class_name(set.info().class_names, set.label(index));
}

}  // namespace

std::vector<int64_t> sampled_classes(const SampleOptions& o, const LoadedModel& loaded) {
  return named_classes(loaded, o.classes, "--class");
}

std::vector<ClassSpread> sample_spreads(SampleOptions& o, const LoadedModel& loaded,
                                        const std::vector<int64_t>& classes) {
  // Many classes would take long: 500 images of each go through the network.
  constexpr size_t kFewClasses = 20;
  flow_of(loaded, o.checkpoint);
  const bool open = o.around == SampleCentre::automatic;
  try {
    if (o.around == SampleCentre::images || (open && classes.size() <= kFewClasses)) {
      std::vector<ClassSpread> spreads = training_spreads(o.data, o.checkpoint, loaded, classes);
      o.around = SampleCentre::images;
      return spreads;
    }
  } catch (const Error& error) {
    const bool named = !o.data.folder.empty() || !o.data.dataset.empty();
    if (!open || named || error.kind() == ErrorKind::numerics) throw;
    log_info("samples are drawn around class means, without the training images: {}", error.what());
  }
  o.around = SampleCentre::means;
  std::vector<ClassSpread> spreads;
  for (const int64_t y : classes) spreads.push_back(model_spread(flow_of(loaded, o.checkpoint), y));
  return spreads;
}

namespace {

/// Puts test images of each row's class before its samples.
void add_real_images(const SampleOptions& o, const LoadedModel& loaded,
                     const std::vector<int64_t>& classes, PictureSheet& sheet) {
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const ClassMatch match = match_classes(loaded, o.checkpoint, from.set->info(), false);
  std::vector<int64_t> among = from.indices;
  if (among.empty()) among = all_images(from.set->info());
  for (size_t row = 0; row < classes.size(); ++row) {
    std::vector<int64_t> indices;
    for (const int64_t i : among) {
      if (static_cast<int64_t>(indices.size()) == o.real) break;
      if (match.model_class(from.set->label(i)) == classes[row]) indices.push_back(i);
    }
    expect(static_cast<int64_t>(indices.size()) == o.real,
           "--real: {} has {} test images of class '{}', got {}", from.set->info().name,
           indices.size(), sheet.rows[row].title, o.real);
    const auto real =
        to_pictures(network_images(*from.set, loaded.input, indices, from.transform), loaded.input);
    auto& pictures = sheet.rows[row].pictures;
    pictures.insert(pictures.begin(), real.begin(), real.end());
  }
  sheet.apart = o.real;
  sheet.rows.front().captions = {"real"};
  sheet.rows.front().captions.resize(static_cast<size_t>(o.real));
  sheet.rows.front().captions.emplace_back("samples");
}

SampleSheet samples(const SampleOptions& o, const LoadedModel& loaded, IbInn& flow,
                    const std::vector<ClassSpread>& spreads) {
  const std::vector<int64_t> classes = sampled_classes(o, loaded);
  SampleSheet made;
  made.pictures = o.count * static_cast<int64_t>(classes.size());
  expect(made.pictures <= kMostSamples,
         "-n: {} pictures are more than {}; name classes with --class", made.pictures,
         kMostSamples);
  made.sheet = empty_sheet(o, loaded, (o.count + o.real) * static_cast<int64_t>(classes.size()));
  made.sheet.headline =
      fmt::format("Samples{}, temperature {}",
                  o.around == SampleCentre::images ? " around training images" : "", o.temperature);
  std::vector<std::string> rows;
  for (size_t i = 0; i < classes.size(); ++i) {
    const int64_t y = classes[i];
    const Tensor z = class_latents(spreads[i], y, 0, o.count, o.temperature, o.run.seed);
    const std::string name = class_name(loaded.input.class_names, y);
    made.sheet.rows.push_back({name, {}, to_pictures(decode(flow, z), loaded.input)});
    rows.push_back(numbered(y, name));
  }
  if (o.real > 0) add_real_images(o, loaded, classes, made.sheet);
  made.json = {{"classes", classes},
               {"around", o.around == SampleCentre::images ? "images" : "means"},
               {"temperature", o.temperature}};
  made.lines = {listed("rows", rows)};
  return made;
}

SampleSheet reconstructions(const SampleOptions& o, const LoadedModel& loaded, IbInn& flow) {
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const auto& set = from.set;
  std::vector<int64_t> indices;
  for (const std::string& text : o.images) indices.push_back(named_image(*set, text, "--images"));
  if (indices.empty()) indices = spread_over_classes(*set, o.reconstruct, from.indices);
  const auto count = static_cast<int64_t>(indices.size());
  SampleSheet made;
  made.pictures = 2 * count;
  made.sheet = empty_sheet(o, loaded, made.pictures);
  made.sheet.headline = "Test images and their reconstructions";
  const Tensor images = network_images(*set, loaded.input, indices, from.transform);
  const Tensor rebuilt = decode(flow, encode(flow, images));
  const std::vector<Image> originals = to_pictures(images, loaded.input);
  const std::vector<Image> copies = to_pictures(rebuilt, loaded.input);
  std::vector<std::string> shown;
  for (int64_t first = 0; first < count; first += o.count) {
    const int64_t last = std::min(first + o.count, count);
    SheetRow row{"original", {}, {originals.begin() + first, originals.begin() + last}};
    for (int64_t i = first; i < last; ++i) {
      const int64_t index = indices[static_cast<size_t>(i)];
      row.captions.push_back(class_of_image(*set, index));
      shown.push_back(numbered(index, row.captions.back()));
    }
    made.sheet.rows.push_back(std::move(row));
    made.sheet.rows.push_back({"rebuilt", {}, {copies.begin() + first, copies.begin() + last}});
  }
  const InversionError error = inversion_error(images, rebuilt);
  if (error.largest > kInversionTolerance)
    log_warning("the largest inversion error, {:.2e}, is above {:.0e}", error.largest,
                kInversionTolerance);
  made.json = {{"max_error", error.largest}, {"mean_error", error.mean}, {"test_images", indices}};
  made.lines = {fmt::format("inversion error of {} images: max {:.3e}, mean {:.3e} (network units)",
                            count, error.largest, error.mean),
                count > o.count ? "rows: original and rebuilt in turn" : "rows: original, rebuilt",
                listed("test images", shown)};
  return made;
}

SampleSheet interpolation(const SampleOptions& o, const LoadedModel& loaded, IbInn& flow) {
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const auto& set = from.set;
  std::vector<int64_t> ends;
  for (const std::string& text : o.interpolate)
    ends.push_back(named_image(*set, text, "--interpolate"));
  SampleSheet made;
  made.pictures = o.count;
  made.sheet = empty_sheet(o, loaded, made.pictures);
  made.sheet.headline = fmt::format("From test image {} to {}", ends[0], ends[1]);
  const Tensor images = network_images(*set, loaded.input, ends, from.transform);
  const Tensor line = decode(flow, interpolate_latents(encode(flow, images), o.count));
  SheetRow row{"", {}, to_pictures(line, loaded.input)};
  for (int64_t i = 0; i < o.count; ++i)
    row.captions.push_back(
        fmt::format("{:.2f}", static_cast<double>(i) / static_cast<double>(o.count - 1)));
  row.captions.front() = class_of_image(*set, ends[0]);
  row.captions.back() = class_of_image(*set, ends[1]);
  made.json = {{"from", ends[0]}, {"to", ends[1]}};
  made.lines = {fmt::format("row: from {} to {}", one_line(numbered(ends[0], row.captions.front())),
                            one_line(numbered(ends[1], row.captions.back())))};
  made.sheet.rows.push_back(std::move(row));
  return made;
}

}  // namespace

SampleSheet make_sample_sheet(const SampleOptions& o, const LoadedModel& loaded,
                              const std::vector<ClassSpread>& spreads) {
  IbInn& flow = flow_of(loaded, o.checkpoint);
  SampleSheet made = o.kind == SampleKind::samples           ? samples(o, loaded, flow, spreads)
                     : o.kind == SampleKind::reconstructions ? reconstructions(o, loaded, flow)
                                                             : interpolation(o, loaded, flow);
  std::vector<std::string> titles;
  for (const SheetRow& row : made.sheet.rows) titles.push_back(row.title);
  made.json["images"] = made.pictures;
  made.json["output"] = o.output;
  made.json["rows"] = titles;
  return made;
}

}  // namespace pal
