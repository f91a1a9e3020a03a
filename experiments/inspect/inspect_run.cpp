#include "experiments/inspect/inspect_run.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <tuple>

#include "experiments/report/text_table.h"
#include "runtime/json.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }

/// A metadata entry; empty if there is none.
std::string entry_of(const FileReport& report, const char* key) {
  const auto found = report.metadata.find(key);
  return found == report.metadata.end() ? std::string() : found->second;
}

/// The step of a checkpoint; -1 if nothing says it.
int64_t step_of(const FileReport& report) {
  const std::string text = entry_of(report, "step");
  int64_t step = -1;
  std::from_chars(text.data(), text.data() + text.size(), step);
  return step;
}

/// When a file was changed last, in local time; "-" if that is not to be had.
std::string date_of(const std::string& path) {
  struct stat facts {};
  std::tm local{};
  if (::stat(path.c_str(), &facts) != 0 || ::localtime_r(&facts.st_mtime, &local) == nullptr)
    return "-";
  std::array<char, 32> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return {text.data(), length};
}

/// What the entry `validation` says of this step; an object without keys if that is nothing.
nlohmann::json validation_of(const FileReport& report) {
  nlohmann::json json = parse_json(entry_of(report, "validation"));
  const bool fits = json.is_object() && json.contains("step") && json["step"].is_number_integer() &&
                    json["step"].get<int64_t>() == step_of(report);
  return fits ? json : nlohmann::json::object();
}

std::string number_of(const nlohmann::json& json, const char* key, double factor, int digits) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return "-";
  return fmt::format("{:.{}f}", factor * found->get<double>(), digits);
}

/// Which links of its folder point to a checkpoint: "best, last".
std::string links_to(const std::string& checkpoints, const std::string& name) {
  std::string links;
  for (const char* link : {"best", "last"}) {
    const auto target = link_target(fs::path(checkpoints) / link);
    if (target && target->filename() == name)
      links += (links.empty() ? "" : ", ") + std::string(link);
  }
  return links;
}

}  // namespace

RunReport inspect_run(const std::string& folder, const std::vector<std::string>& files,
                      const InspectOptions& options) {
  RunReport report;
  std::error_code ignored;
  const fs::path inner = fs::path(folder) / "checkpoints";
  report.checkpoints = path_is_folder(inner) ? inner.string() : folder;
  std::vector<FileReport> others;
  for (const std::string& path : files) {
    if (fs::is_symlink(path, ignored)) continue;
    const bool is_checkpoint =
        path.ends_with(".safetensors") &&
        fs::equivalent(fs::path(path).parent_path(), report.checkpoints, ignored);
    FileReport file = inspect_file(path, options);
    if (is_checkpoint)
      report.files.push_back(std::move(file));
    else if (file.kind == "unknown" && !has_known_suffix(path))
      ++report.skipped;
    else
      others.push_back(std::move(file));
  }
  std::ranges::stable_sort(report.files, [](const FileReport& a, const FileReport& b) {
    return std::make_tuple(step_of(a), a.file) < std::make_tuple(step_of(b), b.file);
  });
  report.checkpoint_count = report.files.size();
  std::ranges::move(others, std::back_inserter(report.files));
  return report;
}

std::string to_text(const RunReport& report) {
  TextTable table({report.checkpoints, "step", "date", "CE", "top-1 %", "bits/dim", ""});
  for (size_t i = 0; i < report.checkpoint_count; ++i) {
    const FileReport& file = report.files[i];
    const bool broken = file.verdict == FileReport::Verdict::error;
    const nlohmann::json validation = validation_of(file);
    const std::string name = file_name(file.file);
    table.add({name, step_of(file) < 0 ? "-" : std::to_string(step_of(file)), date_of(file.file),
               number_of(validation, "ce", 1.0, 4), number_of(validation, "acc1", 100.0, 2),
               number_of(validation, "bits_per_dim", 1.0, 4),
               broken ? "broken" : links_to(report.checkpoints, name)});
  }
  return table.text();
}

}  // namespace pal
