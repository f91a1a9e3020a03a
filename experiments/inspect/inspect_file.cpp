#include "experiments/inspect/inspect_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "data/archives/byte_source.h"
#include "data/archives/idx.h"
#include "data/archives/tar_format.h"
#include "data/sets/idx_set.h"
#include "data/sources/tar_samples.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/safetensors.h"
#include "layers/checkpoint/torch_file.h"
#include "layers/models/import_model.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

enum class Format { image, safetensors, torch, tar, idx, unknown };

/// Enough of a file's beginning to tell what it is.
constexpr int64_t kHeadBytes = 512;

Format format_by_name(const std::string& path) {
  const std::string name = lower_case(std::filesystem::path(path).filename().string());
  if (has_picture_suffix(name)) return Format::image;
  if (name.ends_with(".safetensors")) return Format::safetensors;
  for (const char* suffix : {".pt", ".pth"})
    if (name.ends_with(suffix)) return Format::torch;
  if (name.ends_with(".tar")) return Format::tar;
  for (const char* suffix : {"-ubyte", "-ubyte.gz", ".idx", ".idx.gz"})
    if (name.ends_with(suffix)) return Format::idx;
  return Format::unknown;
}

bool is_tar(std::span<const uint8_t> bytes) {
  if (is_tar_header(bytes)) return true;
  constexpr std::string_view kMark = "ustar";
  constexpr size_t kPlace = 257;
  return bytes.size() >= kPlace + kMark.size() &&
         std::ranges::equal(bytes.subspan(kPlace, kMark.size()), kMark);
}

/// Zip files are many things; PyTorch writes the entry with the pickle first.
bool is_other_zip(std::span<const uint8_t> head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  return text.starts_with("PK") && text.find("/data.pkl") == std::string_view::npos;
}

/// Whether a gzip file begins like IDX inside; false as well if too little of it is there to tell.
bool is_packed_idx(std::span<const uint8_t> head) {
  constexpr std::array<uint8_t, 3> kMark = {0, 0, 8};
  std::array<uint8_t, 3> inside{};
  try {
    return open_bytes(head, "")->read(inside) == inside.size() && inside == kMark;
  } catch (const Error&) {
    return false;
  }
}

Format format_of(std::span<const uint8_t> bytes, const std::string& path) {
  if (sniff_format(bytes) != ImageFormat::unknown) return Format::image;
  if (is_torch_file(bytes) && !is_other_zip(bytes)) return Format::torch;
  if (is_tar(bytes)) return Format::tar;
  if (bytes.size() > 8 && bytes[8] == '{') return Format::safetensors;
  const auto begins_with = [&](std::initializer_list<uint8_t> magic) {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
  };
  if (begins_with({0, 0, 8}) || is_packed_idx(bytes)) return Format::idx;
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

void add_values(FileReport& report, const std::string& tensor, const std::string& dtype_name,
                const std::optional<ValueSummary>& summary) {
  if (!summary) {
    report.messages.push_back(
        fmt::format("tensor {} of dtype {} is not in the sum", printable(tensor), dtype_name));
    return;
  }
  report.sum += summary->sum;
  if (!summary->finite)
    report.messages.push_back(
        fmt::format("tensor {} has values that are not finite", printable(tensor)));
}

void add_networks(FileReport& report) {
  for (ImportNetwork& network : import_networks(report.names))
    report.networks.push_back(std::move(network.key));
}

void inspect_tensors(FileReport& report, std::vector<uint8_t> bytes) {
  report.kind = "safetensors";
  const SafetensorsFile file = SafetensorsFile::parse(std::move(bytes), report.file);
  report.names = file.names();
  report.metadata = file.metadata();
  if (is_checkpoint(file.metadata())) {
    report.kind = "checkpoint";
    check_checkpoint(file);
  } else {
    file.check_noted_digest();
  }
  for (const TensorInfo& tensor : file.tensors())
    add_values(report, tensor.name, tensor.dtype_name, file.summarize(tensor));
  if (report.kind != "checkpoint") add_networks(report);
}

void inspect_torch(FileReport& report) {
  report.kind = "pt";
  const TorchFile file(report.file);
  file.verify();
  if (file.lacks_checksums())
    report.messages.emplace_back(
        "written without checksums, so damage to its numbers cannot be noticed");
  for (const SourceTensor& tensor : file.tensors()) {
    report.names.push_back(tensor.name);
    add_values(report, tensor.name, tensor.dtype_name,
               summarize_values(tensor.dtype_name, file.read(tensor)));
  }
  add_networks(report);
}

/// Decodes the first picture of a shard, or all of them.
void inspect_pictures(FileReport& report, const FileReader& file, const TarSamples& tar,
                      const InspectOptions& options) {
  constexpr size_t kMostMessages = 8;
  const int64_t count = options.deep ? tar.count() : 1;
  int64_t bad = 0;
  std::string first;
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const std::string name = report.file + ":" + one_line(tar.pictures[i]);
    try {
      if (tar.sizes[at] > most_file_bytes(options.limits))
        fail(ErrorKind::data, "{}: {} bytes, expected at most {}", name, tar.sizes[at],
             most_file_bytes(options.limits));
      bytes.resize(static_cast<size_t>(tar.sizes[at]));
      file.read(tar.begins[at], bytes);
      for (const std::string& warning : decode_image(bytes, name, options.limits).warnings)
        if (report.messages.size() < kMostMessages)
          report.messages.push_back(one_line(tar.pictures[i]) + ": " + warning);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      if (bad++ == 0) first = error.what();
    }
  }
  if (bad > 1) first += fmt::format("; {} of {} pictures cannot be read", bad, count);
  if (bad > 0) fail(ErrorKind::data, "{}", first);
}

void inspect_tar_file(FileReport& report, const InspectOptions& options) {
  report.kind = "tar";
  const FileReader file(report.file, report.file);
  const TarSamples tar = parse_tar(file);
  report.samples = tar.count();
  report.messages = tar.warnings;
  inspect_pictures(report, file, tar, options);
}

std::vector<uint8_t> head_of(const std::string& path) {
  const auto file = std::make_unique<FileReader>(path, path);
  std::vector<uint8_t> head(static_cast<size_t>(std::min(file->size(), kHeadBytes)));
  file->read(0, head);
  return head;
}

void inspect(FileReport& report, const InspectOptions& options) {
  switch (format_of(head_of(report.file), report.file)) {
    case Format::image:
      return inspect_image(report, read_file(report.file), options.limits);
    case Format::safetensors:
      return inspect_tensors(report, read_file(report.file));
    case Format::torch:
      return inspect_torch(report);
    case Format::tar:
      return inspect_tar_file(report, options);
    case Format::idx:
      report.kind = "idx";
      report.shape = parse_idx(read_file(report.file), report.file).shape;
      return;
    case Format::unknown:
      fail(ErrorKind::data, "{}:0: neither JPEG, PNG, safetensors, PyTorch, tar nor IDX",
           report.file);
  }
}

const char* name_of(FileReport::Verdict verdict) {
  if (verdict == FileReport::Verdict::ok) return "ok";
  return verdict == FileReport::Verdict::warning ? "warning" : "error";
}

bool is_image(const FileReport& report) { return report.kind == "jpeg" || report.kind == "png"; }
bool has_tensors(const FileReport& report) {
  return report.kind == "safetensors" || report.kind == "checkpoint" || report.kind == "pt";
}

/// Fills a report by a function that throws for what is broken.
template <typename Look>
FileReport report_of(const std::string& path, const Look& look) {
  FileReport report;
  report.file = path;
  try {
    look(report);
    if (!report.messages.empty()) report.verdict = FileReport::Verdict::warning;
  } catch (const Error& error) {
    report.verdict = FileReport::Verdict::error;
    report.error_kind = error.kind();
    report.messages.emplace_back(error.what());
  }
  return report;
}

}  // namespace

FileReport inspect_file(const std::string& path, const InspectOptions& options) {
  return report_of(path, [&](FileReport& report) { inspect(report, options); });
}

std::optional<FileReport> inspect_idx_folder(const std::string& folder) {
  if (!holds_idx_family(folder)) return std::nullopt;
  FileReport report = report_of(folder, [&](FileReport& made) {
    made.kind = "idx";
    made.messages = check_idx_folder(folder);
  });
  if (report.messages.empty()) return std::nullopt;
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
      if (report.kind != "checkpoint") json["networks"] = report.networks;
      if (report.kind != "pt") json["metadata"] = report.metadata;
    }
    if (report.kind == "tar") json["samples"] = report.samples;
    if (report.kind == "idx" && !report.shape.empty()) json["shape"] = report.shape;
  }
  return json_text(json, -1, BadUtf8::replaced);
}

std::string to_text(const FileReport& report) {
  std::string text = fmt::format("{}: {}, {}", report.file, report.kind, name_of(report.verdict));
  if (report.verdict == FileReport::Verdict::error) return text;
  if (is_image(report)) text += fmt::format(": {} x {} pixels", report.width, report.height);
  if (has_tensors(report))
    text += fmt::format(": {} tensors, sum {}", report.names.size(), report.sum);
  if (report.networks.size() > 1)
    text += fmt::format(", {} networks, {}", report.networks.size(), key_list(report.networks));
  if (report.kind == "checkpoint")
    text += fmt::format(", architecture {}, step {}", printable(report.metadata.at("architecture")),
                        printable(report.metadata.at("step")));
  // What a file of results says of itself: experiments/trust/array_metadata.h.
  const auto said = [&](const char* key) {
    const auto found = report.metadata.find(key);
    return found == report.metadata.end() ? std::string() : found->second;
  };
  if (const std::string kind = said("kind");
      !kind.empty() && said("format") == "palindrome-" + kind)
    text += fmt::format(", {} of {}, by model {}", kind, one_line(said("data")),
                        one_line(said("model")).substr(0, 12));
  if (report.kind == "tar") text += fmt::format(": {} samples", report.samples);
  if (!report.shape.empty()) text += fmt::format(": {}", fmt::join(report.shape, " x "));
  return text;
}

}  // namespace pal
