#include "experiments/datasets/data_statistics.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <span>

#include "data/pictures/image_file.h"
#include "experiments/datasets/jobs.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

constexpr double kWhite = 255.0;

/// Sums over the pixels that a network would see, of one channel.
struct Moments {
  uint64_t count = 0;
  uint64_t sum = 0;
  uint64_t squares = 0;
};

struct Sums {
  PartStatistics part;
  std::array<Moments, 3> moments;
  std::vector<int64_t> widths;
  std::vector<int64_t> heights;
  int64_t small = 0;
};

std::array<Moments, 3> moments_of(std::span<const uint8_t> levels, size_t channels) {
  std::array<Moments, 3> moments;
  for (size_t i = 0; i < levels.size(); ++i) {
    Moments& channel = moments[i % channels];
    ++channel.count;
    channel.sum += levels[i];
    channel.squares += static_cast<uint64_t>(levels[i]) * levels[i];
  }
  return moments;
}

Range range_of(std::vector<int64_t> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::ranges::nth_element(values, middle);
  return {std::ranges::min(values), *middle, std::ranges::max(values)};
}

void take(Sums& sums, const ImageHeader& header, int64_t label, int64_t bytes,
          const std::array<Moments, 3>& moments, int64_t size) {
  PartStatistics& part = sums.part;
  ++part.pictures;
  part.bytes += bytes;
  ++(header.format == ImageFormat::png ? part.png : part.jpeg);
  part.grey += header.channels == 1 ? 1 : 0;
  part.turned += header.upright ? 0 : 1;
  ++part.class_counts[static_cast<size_t>(label)];
  sums.widths.push_back(header.width);
  sums.heights.push_back(header.height);
  sums.small += std::min(header.width, header.height) < size ? 1 : 0;
  for (size_t c = 0; c < moments.size(); ++c) {
    sums.moments[c].count += moments[c].count;
    sums.moments[c].sum += moments[c].sum;
    sums.moments[c].squares += moments[c].squares;
  }
}

PartStatistics finish(Sums sums) {
  PartStatistics& part = sums.part;
  if (part.pictures == 0)
    fail(ErrorKind::data, "{}: none of {} pictures can be read; see pal-data check", part.name,
         part.bad);
  part.per_class = range_of(part.class_counts);
  part.width = range_of(std::move(sums.widths));
  part.height = range_of(std::move(sums.heights));
  part.small = static_cast<double>(sums.small) / static_cast<double>(part.pictures);
  for (size_t c = 0; c < part.mean.size(); ++c) {
    const auto count = static_cast<double>(std::max<uint64_t>(1, sums.moments[c].count));
    const double mean = static_cast<double>(sums.moments[c].sum) / count;
    const double square = static_cast<double>(sums.moments[c].squares) / count;
    part.mean[c] = mean / kWhite;
    part.std[c] = std::sqrt(std::max(0.0, square - mean * mean)) / kWhite;
  }
  return std::move(part);
}

std::string list_of(const std::array<double, 3>& values, int64_t channels) {
  std::string text;
  for (int64_t c = 0; c < channels; ++c)
    text += fmt::format("{}{:.4f}", c == 0 ? "" : ",", values[static_cast<size_t>(c)]);
  return text;
}

std::string range_text(const Range& range) {
  return fmt::format("{} / {} / {}", grouped(range.min), grouped(range.median), grouped(range.max));
}

nlohmann::ordered_json range_json(const Range& range) {
  return {{"min", range.min}, {"median", range.median}, {"max", range.max}};
}

}  // namespace

PartStatistics part_statistics(const PicturePart& part, const StatisticsOptions& options) {
  const TransformSpec& transform = options.transform;
  check_transform(transform);
  const PictureSource& source = *part.source;
  Sums sums;
  sums.part.name = part.name;
  sums.part.class_names = source.class_names();
  sums.part.class_counts.assign(source.class_names().size(), 0);
  std::mutex mutex;
  const Philox unused(0, RandomPurpose::augment);
  const auto channels = static_cast<size_t>(transform.channels);
  const auto levels_wanted = static_cast<size_t>(transform.size * transform.size) * channels;
  const auto examine = [&](int64_t index) {
    thread_local std::vector<uint8_t> bytes;
    thread_local std::vector<uint8_t> levels;
    levels.resize(levels_wanted);
    const std::string name = source.item_name(index);
    try {
      source.read(index, bytes, std::numeric_limits<int64_t>::max());
      const ImageHeader header = read_image_header(bytes, name, transform.limits);
      make_views(bytes, name, transform, unused, levels);
      const auto moments = moments_of(levels, channels);
      const std::lock_guard lock(mutex);
      take(sums, header, source.label(index), static_cast<int64_t>(bytes.size()), moments,
           transform.size);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      const std::lock_guard lock(mutex);
      ++sums.part.bad;
    }
  };
  const JobClock clock;
  run_jobs(source.count(), options.workers, examine,
           [&](int64_t done) { options.show(clock.text(part.name, done, source.count())); });
  return finish(std::move(sums));
}

std::string to_text(const PartStatistics& part, const TransformSpec& transform) {
  std::string text = fmt::format("{}\n", part.name);
  const auto line = [&](const char* what, const std::string& value) {
    text += fmt::format("  {:<26} {}\n", what, value);
  };
  line("pictures", grouped(part.pictures));
  if (part.bad > 0) line("bad ones, left out", grouped(part.bad));
  line("bytes", grouped(part.bytes));
  line("classes", grouped(static_cast<int64_t>(part.class_names.size())));
  line("a class, min/median/max", range_text(part.per_class));
  line("width, min/median/max", range_text(part.width));
  line("height, min/median/max", range_text(part.height));
  line(fmt::format("shorter side below {}", transform.size).c_str(),
       fmt::format("{:.1f} %", 100.0 * part.small));
  line("JPEG / PNG", fmt::format("{} / {}", grouped(part.jpeg), grouped(part.png)));
  line("grey", grouped(part.grey));
  line("turned by EXIF", grouped(part.turned));
  text +=
      fmt::format("  as seen at {}: --mean {} --std {}", transform.size,
                  list_of(part.mean, transform.channels), list_of(part.std, transform.channels));
  return text;
}

std::string to_json(const std::vector<PartStatistics>& parts, const TransformSpec& transform) {
  nlohmann::ordered_json json = {
      {"image_size", transform.size}, {"channels", transform.channels}, {"parts", {}}};
  const auto first = [&](const std::array<double, 3>& values) {
    return std::vector<double>(values.begin(), values.begin() + transform.channels);
  };
  json["parts"] = nlohmann::ordered_json::array();
  for (const PartStatistics& part : parts) {
    nlohmann::ordered_json classes = nlohmann::ordered_json::array();
    for (size_t c = 0; c < part.class_names.size(); ++c)
      classes.push_back({{"name", part.class_names[c]}, {"pictures", part.class_counts[c]}});
    json["parts"].push_back({{"name", part.name},
                             {"pictures", part.pictures},
                             {"bad", part.bad},
                             {"bytes", part.bytes},
                             {"jpeg", part.jpeg},
                             {"png", part.png},
                             {"grey", part.grey},
                             {"turned", part.turned},
                             {"per_class", range_json(part.per_class)},
                             {"width", range_json(part.width)},
                             {"height", range_json(part.height)},
                             {"small", part.small},
                             {"mean", first(part.mean)},
                             {"std", first(part.std)},
                             {"classes", classes}});
  }
  return json_text(json, -1, BadUtf8::replaced);
}

}  // namespace pal
