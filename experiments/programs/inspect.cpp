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
#include "experiments/inspect/inspect_run.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"

namespace {

namespace fs = std::filesystem;
constexpr const char* kName = "pal-inspect";

struct Options {
  std::vector<std::string> files;
  pal::ImageLimits limits;
  bool json = false;
  bool verbose = false;
  // Of diff.
  std::string first;
  std::string second;
  int64_t max_lines = 20;  ///< 0: any number
};

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

void print_skipped(int64_t files) {
  if (files > 0) pal::print_result(fmt::format("{} files of other kinds", files));
}

/// Prints the table of a run's checkpoints and what is not whole; returns the exit code.
int inspect_run_folder(const std::string& folder, const Options& options) {
  const pal::RunReport report = pal::inspect_run(folder, files_below(folder), options.limits);
  pal::print_result(to_text(report));
  int code = 0;
  size_t broken = 0;
  for (const pal::FileReport& file : report.files) {
    const bool is_broken = file.verdict == pal::FileReport::Verdict::error;
    broken += is_broken ? 1 : 0;
    if (is_broken || options.verbose) pal::print_result(to_text(file));
    if (const int wanted = complain(file); code == 0) code = wanted;
  }
  if (options.verbose) print_skipped(report.skipped);
  const std::string files =
      fmt::format("{} checkpoints and {} other files", report.checkpoint_count,
                  report.files.size() - report.checkpoint_count);
  pal::print_result(broken == 0 ? fmt::format("{}: whole", files)
                                : fmt::format("{}: {} broken", files, broken));
  return code;
}

int inspect(const Options& options) {
  const bool json = options.json;
  int code = 0;
  int64_t skipped = 0;
  std::vector<std::string> answers;
  const auto answer = [&](const pal::FileReport& report) {
    answers.push_back(json ? to_json(report) : to_text(report));
    if (const int wanted = complain(report); code == 0) code = wanted;
    if (!json) pal::print_result(answers.back());
  };
  bool many = options.files.size() > 1;
  for (const std::string& argument : options.files) {
    std::error_code ignored;
    if (!json && pal::holds_checkpoints(argument)) {
      if (const int wanted = inspect_run_folder(argument, options); code == 0) code = wanted;
      continue;
    }
    if (!fs::is_directory(argument, ignored)) {
      answer(pal::inspect_file(argument, options.limits));
      continue;
    }
    many = true;
    for (const std::string& file : files_below(argument)) {
      const pal::FileReport report = pal::inspect_file(file, options.limits);
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
  if (!json) print_skipped(skipped);
  return code;
}

int diff(const Options& options) {
  const std::string first = pal::checkpoint_of(options.first);
  const pal::FileDifference difference = pal::diff_files(first, pal::checkpoint_of(options.second));
  for (const auto& line : difference.metadata) pal::print_result(line);
  const size_t all = difference.tensors.size();
  const auto most = static_cast<size_t>(options.max_lines);
  const size_t shown = most == 0 ? all : std::min(most, all);
  for (size_t i = 0; i < shown; ++i) pal::print_result(difference.tensors[i]);
  if (shown < all) pal::print_result(fmt::format("... and {} more", all - shown));
  pal::print_result(all == 0 ? std::string("all tensors are equal")
                             : fmt::format("{} tensors differ", all));
  return all == 0 ? 0 : 1;
}

void add_options(CLI::App& app, Options& o) {
  app.add_option("FILE", o.files,
                 "files or folders (JPEG, PNG, safetensors, checkpoints, PyTorch, tar, IDX); "
                 "of a run folder, a table of its checkpoints");
  app.add_flag("--json", o.json, "answer in JSON: an object, or an array for several files");
  app.add_flag("-v,--verbose", o.verbose, "a line for every file of a run folder");
  app.add_option("--max-pixels", o.limits.max_pixels, "refuse larger pictures")
      ->capture_default_str();
}

void add_diff_options(CLI::App& app, Options& o) {
  app.add_option("A", o.first, "one file or run folder")->required();
  app.add_option("B", o.second, "another")->required();
  app.add_option("--max-lines", o.max_lines, "tensors to list, largest difference first; 0: all")
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app("Says what files are and whether they are whole: exit 0, or 3 for a broken one.",
                 kName);
    Options options;
    add_options(app, options);
    CLI::App* compare = app.add_subcommand(
        "diff", "compare two checkpoints tensor by tensor: exit 0 if all are equal, else 1");
    add_diff_options(*compare, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    pal::expect(options.max_lines >= 0, "--max-lines: expected at least 0, got {}",
                options.max_lines);
    if (compare->parsed()) return diff(options);
    pal::expect(options.limits.max_pixels >= 1, "--max-pixels: expected at least 1, got {}",
                options.limits.max_pixels);
    pal::expect(!options.files.empty(), "command line: no FILE; see --help");
    return inspect(options);
  });
}
