#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/run_options.h"
#include "experiments/inspect/inspect_diff.h"
#include "experiments/inspect/inspect_file.h"
#include "experiments/inspect/inspect_run.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"
#include "runtime/paths.h"

namespace {

namespace fs = std::filesystem;
constexpr const char* kName = "pal-inspect";

struct Options {
  std::vector<std::string> files;
  pal::InspectOptions inspect;
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
  const pal::RunReport report = pal::inspect_run(folder, files_below(folder), options.inspect);
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

/// The folders of IDX files, of which each is whole: what is left to judge is whether they fit.
class IdxFolders {
 public:
  void add(const pal::FileReport& report) {
    if (report.kind != "idx") return;
    const std::string folder = fs::path(report.file).parent_path().string();
    whole_[folder] = whole_.try_emplace(folder, true).first->second &&
                     report.verdict != pal::FileReport::Verdict::error;
  }
  std::vector<std::string> whole() const {
    std::vector<std::string> folders;
    for (const auto& [folder, whole] : whole_)
      if (whole) folders.push_back(folder);
    return folders;
  }

 private:
  std::map<std::string, bool> whole_;
};

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
    if (!json && pal::holds_checkpoints(argument)) {
      if (const int wanted = inspect_run_folder(argument, options); code == 0) code = wanted;
      continue;
    }
    if (!pal::path_is_folder(argument)) {
      answer(pal::inspect_file(argument, options.inspect));
      continue;
    }
    many = true;
    IdxFolders idx_folders;
    for (const std::string& file : files_below(argument)) {
      const pal::FileReport report = pal::inspect_file(file, options.inspect);
      idx_folders.add(report);
      // A folder may hold anything: only what is, or claims to be, of a known kind is judged.
      if (report.kind == "unknown" && !pal::has_known_suffix(file))
        ++skipped;
      else
        answer(report);
    }
    for (const std::string& folder : idx_folders.whole())
      if (const auto report = pal::inspect_idx_folder(folder)) answer(*report);
  }
  if (json) {
    const std::string list = fmt::format("{}", fmt::join(answers, ",\n"));
    pal::print_result(many ? "[" + list + "]" : list);
  }
  if (!json) print_skipped(skipped);
  return code;
}

/// ": 1 of the model, 209 of the optimizer" of two checkpoints.
std::string parts_text(const pal::FileDifference& difference) {
  const auto count = [&](const char* prefix) {
    return std::ranges::count_if(difference.tensors, [&](const std::string& line) {
      return line.find(std::string("\"") + prefix) != std::string::npos;
    });
  };
  const auto model = count("model.");
  const auto optimizer = count("optimizer.");
  if (model + optimizer == 0) return {};
  return fmt::format(": {} of the model, {} of the optimizer", model, optimizer);
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
                             : fmt::format("{} tensors differ{}", all, parts_text(difference)));
  return all == 0 ? 0 : 1;
}

void add_options(pal::OptionTable& table, Options& o) {
  table.positionals("FILE", o.files,
                    "Files or folders (JPEG, PNG, safetensors, checkpoints, PyTorch, tar, IDX); of "
                    "a run folder, a table of its checkpoints");
  pal::add_json_option(table, o.json);
  table.toggle("verbose", o.verbose, "A line for every file of a run folder").letter('v');
  table.toggle("deep", o.inspect.deep, "Decode every picture of tar shards, not the first alone");
  pal::add_pixel_limit(table, o.inspect.limits.max_pixels);
}

pal::OptionTable& add_diff(pal::OptionTable& program, Options& o) {
  pal::OptionTable& table = program.command(
      "diff", "Compare two checkpoints tensor by tensor: exit 0 if all are equal, else 1");
  table.positional("A", o.first, "One file or run folder");
  table.positional("B", o.second, "Another");
  table.whole("max-lines", o.max_lines, "Tensors to list, largest difference first; 0: all")
      .at_least(0);
  return table;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    pal::OptionTable table(
        kName, "Says what files are and whether they are whole: exit 0, or 3 for a broken one.");
    Options options;
    add_options(table, options);
    const pal::OptionTable& compare = add_diff(table, options);
    const pal::ParsedCommand command = pal::parse_command_line(table, argc, argv);
    if (command.answered) return 0;
    if (command.table == &compare) {
      pal::expect(!options.second.empty(), "command line: diff expects A and B; see --help");
      return diff(options);
    }
    pal::expect(!options.files.empty(), "command line: no FILE; see --help");
    return inspect(options);
  });
}
