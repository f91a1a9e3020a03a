#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/command_line/program.h"
#include "experiments/inspect/inspect_diff.h"
#include "experiments/inspect/inspect_file.h"
#include "runtime/error.h"

namespace {

namespace fs = std::filesystem;
constexpr const char* kName = "pal-inspect";

/// The regular files below a folder, sorted, without hidden ones; links to folders are not
/// followed.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const bool hidden = at->path().filename().string().starts_with('.');
    std::error_code ignored;
    if (hidden && at->is_directory(ignored)) at.disable_recursion_pending();
    if (!hidden && at->is_regular_file(ignored)) files.push_back(at->path().string());
  }
  if (error)
    pal::fail(pal::ErrorKind::environment, "{}: cannot list the folder: {}", folder,
              error.message());
  std::ranges::sort(files);
  return files;
}

/// Prints the report's complaint on stderr; returns the exit code that it asks for.
int complain(const pal::FileReport& report) {
  if (report.verdict == pal::FileReport::Verdict::error) {
    pal::print_error(kName, report.messages.back());
    return pal::exit_code(report.error_kind);
  }
  if (report.verdict == pal::FileReport::Verdict::warning)
    pal::print_warning(fmt::format("{}: {}", report.file, fmt::join(report.messages, "; ")));
  return 0;
}

int inspect(const std::vector<std::string>& arguments, const pal::ImageLimits& limits, bool json) {
  int code = 0;
  int64_t skipped = 0;
  std::vector<std::string> answers;
  const auto answer = [&](const pal::FileReport& report) {
    answers.push_back(json ? to_json(report) : to_text(report));
    if (const int wanted = complain(report); code == 0) code = wanted;
    if (!json) pal::print_result(answers.back());
  };
  bool many = arguments.size() > 1;
  for (const std::string& argument : arguments) {
    std::error_code ignored;
    if (!fs::is_directory(argument, ignored)) {
      answer(pal::inspect_file(argument, limits));
      continue;
    }
    many = true;
    for (const std::string& file : files_below(argument)) {
      const pal::FileReport report = pal::inspect_file(file, limits);
      // A folder may hold anything: only what is, or claims to be, of a known kind is judged.
      if (report.kind == "unknown" && !pal::has_known_suffix(file))
        ++skipped;
      else
        answer(report);
    }
  }
  if (json) {
    const std::string list = fmt::format("{}", fmt::join(answers, ",\n"));
    pal::print_result(many ? "[" + list + "]" : list);
  }
  if (!json && skipped > 0) pal::print_result(fmt::format("{} files of other kinds", skipped));
  return code;
}

int diff(const std::string& first, const std::string& second) {
  const pal::FileDifference difference = pal::diff_files(first, second);
  for (const auto& line : difference.metadata) pal::print_result(line);
  for (const auto& line : difference.tensors) pal::print_result(line);
  pal::print_result(difference.tensors.empty()
                        ? std::string("all tensors are equal")
                        : fmt::format("{} tensors differ", difference.tensors.size()));
  return difference.tensors.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app("Says what files are and whether they are whole: exit 0, or 3 for a broken one.",
                 kName);
    std::vector<std::string> files;
    std::string first;
    std::string second;
    pal::ImageLimits limits;
    bool json = false;
    app.add_option("FILE", files,
                   "files or folders (JPEG, PNG, safetensors, checkpoints, PyTorch, tar, IDX)");
    app.add_flag("--json", json, "answer in JSON: an object, or an array for several files");
    app.add_option("--max-pixels", limits.max_pixels, "refuse larger pictures")
        ->capture_default_str();
    CLI::App* compare = app.add_subcommand(
        "diff", "compare two checkpoints tensor by tensor: exit 0 if all are equal, else 1");
    compare->add_option("A", first, "one file")->required();
    compare->add_option("B", second, "another")->required();
    if (!pal::parse_options(app, argc, argv)) return 0;
    if (compare->parsed()) return diff(first, second);
    pal::expect(limits.max_pixels >= 1, "--max-pixels: expected at least 1, got {}",
                limits.max_pixels);
    pal::expect(!files.empty(), "command line: no FILE; see --help");
    return inspect(files, limits, json);
  });
}
