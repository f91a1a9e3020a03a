#include "experiments/sampling/sample_sheets.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "experiments/measures/class_match.h"
#include "experiments/measures/sampling.h"
#include "experiments/sampling/morph_sheet.h"
#include "experiments/sampling/sheet_parts.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {

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
    const bool missing = error.kind() == ErrorKind::usage || error.kind() == ErrorKind::data;
    if (!open || named || !missing) throw;
    log_info("the class means of the model are taken, without the training images: {}",
             error.what());
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
  for (size_t row = 0; row < classes.size(); ++row) {
    const std::vector<int64_t> indices = first_of_class(from, match, classes[row], o.real);
    expect(static_cast<int64_t>(indices.size()) == o.real,
           "--real: {} has {} test images of class '{}', got {}", from.set->info().name,
           indices.size(), sheet.rows[row].title, o.real);
    const auto real =
        to_pictures(network_images(*from.set, loaded.input, indices, from.transform), loaded.input);
    auto& pictures = sheet.rows[row].pictures;
    pictures.insert(pictures.begin(), real.begin(), real.end());
  }
  for (int64_t& first : sheet.apart) first += o.real;
  sheet.apart.insert(sheet.apart.begin(), o.real);
  std::vector<std::string> captions = {"real"};
  captions.resize(static_cast<size_t>(o.real));
  std::vector<std::string>& others = sheet.rows.front().captions;
  if (others.empty()) others = {"samples"};
  captions.insert(captions.end(), others.begin(), others.end());
  others = std::move(captions);
}

/// Says at the top of each temperature's block of columns which it is, and sets the blocks apart.
void name_temperatures(const SampleOptions& o, PictureSheet& sheet) {
  std::vector<std::string> captions(o.temperatures.size() * static_cast<size_t>(o.count));
  for (size_t i = 0; i < o.temperatures.size(); ++i) {
    const int64_t first = static_cast<int64_t>(i) * o.count;
    captions[static_cast<size_t>(first)] = fmt::format("T = {}", o.temperatures[i]);
    if (i > 0) sheet.apart.push_back(first);
  }
  sheet.rows.front().captions = std::move(captions);
}

SampleSheet samples(const SampleOptions& o, const LoadedModel& loaded, IbInn& flow,
                    const std::vector<ClassSpread>& spreads) {
  const std::vector<int64_t> classes = sampled_classes(o, loaded);
  SampleSheet made;
  const bool several = o.temperatures.size() > 1;
  const int64_t columns = o.count * static_cast<int64_t>(o.temperatures.size());
  made.pictures = columns * static_cast<int64_t>(classes.size());
  expect(made.pictures <= kMostSamples,
         "-n: {} pictures are more than {}; name classes with --class", made.pictures,
         kMostSamples);
  made.sheet = empty_sheet(o, loaded, (columns + o.real) * static_cast<int64_t>(classes.size()));
  made.sheet.headline =
      fmt::format("Samples{}{}", o.around == SampleCentre::images ? " around training images" : "",
                  several ? " at temperature T, from the same noise in every block"
                          : fmt::format(", temperature {}", o.temperatures.front()));
  std::vector<std::string> rows;
  for (size_t i = 0; i < classes.size(); ++i) {
    const int64_t y = classes[i];
    const std::string name = class_name(loaded.input.class_names, y);
    SheetRow row{name, {}, {}};
    for (const double temperature : o.temperatures) {
      const Tensor z = class_latents(spreads[i], y, 0, o.count, temperature, o.run.seed);
      std::ranges::move(to_pictures(decode(flow, z), loaded.input),
                        std::back_inserter(row.pictures));
    }
    made.sheet.rows.push_back(std::move(row));
    rows.push_back(numbered(y, name));
  }
  if (several) name_temperatures(o, made.sheet);
  if (o.real > 0) add_real_images(o, loaded, classes, made.sheet);
  made.json = {{"classes", classes},
               {"around", o.around == SampleCentre::images ? "images" : "means"}};
  if (several)
    made.json["temperatures"] = o.temperatures;
  else
    made.json["temperature"] = o.temperatures.front();
  made.lines = {listed("rows", rows)};
  if (several)
    made.lines.push_back(fmt::format("columns: {} samples at each of the temperatures {}", o.count,
                                     fmt::join(o.temperatures, ", ")));
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
                     : o.kind == SampleKind::morph           ? morph_sheet(o, loaded, flow, spreads)
                                                             : interpolation(o, loaded, flow);
  std::vector<std::string> titles;
  for (const SheetRow& row : made.sheet.rows) titles.push_back(row.title);
  made.json["images"] = made.pictures;
  made.json["output"] = o.output;
  made.json["rows"] = titles;
  return made;
}

}  // namespace pal
