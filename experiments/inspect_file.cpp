#include "experiments/inspect_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "data/idx.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/digest.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/file.h"

namespace pal {
namespace {

enum class Format { image, safetensors, idx, unknown };

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

Format format_by_name(const std::string& path) {
  const std::string name = lower_case(std::filesystem::path(path).filename().string());
  for (const char* suffix : {".jpg", ".jpeg", ".png"})
    if (name.ends_with(suffix)) return Format::image;
  if (name.ends_with(".safetensors")) return Format::safetensors;
  for (const char* suffix : {"-ubyte", "-ubyte.gz", ".idx", ".idx.gz"})
    if (name.ends_with(suffix)) return Format::idx;
  return Format::unknown;
}

Format format_of(std::span<const uint8_t> bytes, const std::string& path) {
  if (sniff_format(bytes) != ImageFormat::unknown) return Format::image;
  if (bytes.size() > 8 && bytes[8] == '{') return Format::safetensors;
  const auto begins_with = [&](std::initializer_list<uint8_t> magic) {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
  };
  if (begins_with({0x1f, 0x8b}) || begins_with({0, 0, 8})) return Format::idx;
  return format_by_name(path);
}

void inspect_image(FileReport& report, std::span<const uint8_t> bytes, const ImageLimits& limits) {
  const ImageFormat format = sniff_format(bytes);
  if (format != ImageFormat::unknown) report.kind = format == ImageFormat::png ? "png" : "jpeg";
  const Image image = decode_image(bytes, report.file, limits);
  report.messages = image.warnings;
  report.width = image.width;
  report.height = image.height;
  const int64_t columns = std::max<int64_t>(1, image.width / 2);
  const int64_t rows = std::max<int64_t>(1, image.height / 2);
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t x = 0; x < columns; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t channel = std::min(c, image.channels - 1);
        const int64_t at = y * image.row() + x * image.channels + channel;
        report.top_left[static_cast<size_t>(c)] += image.pixels[static_cast<size_t>(at)];
      }
  for (double& mean : report.top_left)
    mean = std::round(10.0 * mean / static_cast<double>(rows * columns)) / 10.0;
}

bool is_digest(const std::string& text) {
  return text.size() == Digest::kDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void inspect_tensors(FileReport& report, std::vector<uint8_t> bytes) {
  report.kind = "safetensors";
  const SafetensorsFile file = SafetensorsFile::parse(std::move(bytes), report.file);
  report.names = file.names();
  report.metadata = file.metadata();
  if (is_checkpoint(file.metadata())) {
    report.kind = "checkpoint";
    check_checkpoint(file);
  } else if (const auto noted = file.metadata().find("digest");
             noted != file.metadata().end() && is_digest(noted->second) && !file.verify_digest()) {
    fail(ErrorKind::data, "{}:8: the file does not match its digest; use another copy",
         report.file);
  }
  for (const TensorInfo& tensor : file.tensors()) {
    const auto summary = file.summarize(tensor);
    if (!summary) {
      report.messages.push_back(fmt::format("tensor {} of dtype {} is not in the sum",
                                            printable(tensor.name), tensor.dtype_name));
      continue;
    }
    report.sum += summary->sum;
    if (!summary->finite)
      report.messages.push_back(
          fmt::format("tensor {} has values that are not finite", printable(tensor.name)));
  }
}

void inspect(FileReport& report, const ImageLimits& limits) {
  std::vector<uint8_t> bytes = read_file(report.file);
  switch (format_of(bytes, report.file)) {
    case Format::image:
      return inspect_image(report, bytes, limits);
    case Format::safetensors:
      return inspect_tensors(report, std::move(bytes));
    case Format::idx:
      report.kind = "idx";
      report.shape = parse_idx(bytes, report.file).shape;
      return;
    case Format::unknown:
      fail(ErrorKind::data, "{}:0: neither JPEG, PNG, safetensors nor IDX", report.file);
  }
}

const char* name_of(FileReport::Verdict verdict) {
  if (verdict == FileReport::Verdict::ok) return "ok";
  return verdict == FileReport::Verdict::warning ? "warning" : "error";
}

bool is_image(const FileReport& report) { return report.kind == "jpeg" || report.kind == "png"; }
bool has_tensors(const FileReport& report) {
  return report.kind == "safetensors" || report.kind == "checkpoint";
}

}  // namespace

FileReport inspect_file(const std::string& path, const ImageLimits& limits) {
  FileReport report;
  report.file = path;
  try {
    inspect(report, limits);
    if (!report.messages.empty()) report.verdict = FileReport::Verdict::warning;
  } catch (const Error& error) {
    report.verdict = FileReport::Verdict::error;
    report.error_kind = error.kind();
    report.messages.emplace_back(error.what());
  }
  return report;
}

bool has_known_suffix(const std::string& path) { return format_by_name(path) != Format::unknown; }

std::string to_json(const FileReport& report) {
  nlohmann::ordered_json json = {{"file", report.file},
                                 {"kind", report.kind},
                                 {"verdict", name_of(report.verdict)},
                                 {"messages", report.messages}};
  if (report.verdict != FileReport::Verdict::error) {
    if (is_image(report)) {
      json["width"] = report.width;
      json["height"] = report.height;
      json["top_left"] = report.top_left;
    }
    if (has_tensors(report)) {
      json["tensors"] = report.names.size();
      json["names"] = report.names;
      // JSON has no infinities: they are written as words.
      if (std::isfinite(report.sum))
        json["sum"] = report.sum;
      else
        json["sum"] = fmt::format("{}", report.sum);
      json["metadata"] = report.metadata;
    }
    if (report.kind == "idx") json["shape"] = report.shape;
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string to_text(const FileReport& report) {
  std::string text = fmt::format("{}: {}, {}", report.file, report.kind, name_of(report.verdict));
  if (report.verdict == FileReport::Verdict::error) return text;
  if (is_image(report)) text += fmt::format(": {} x {} pixels", report.width, report.height);
  if (has_tensors(report))
    text += fmt::format(": {} tensors, sum {}", report.names.size(), report.sum);
  if (report.kind == "checkpoint")
    text += fmt::format(", architecture {}, step {}", printable(report.metadata.at("architecture")),
                        printable(report.metadata.at("step")));
  if (report.kind == "idx") text += fmt::format(": {}", fmt::join(report.shape, " x "));
  return text;
}

}  // namespace pal
