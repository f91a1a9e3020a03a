#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "experiments/command_line/options_file.h"
#include "experiments/command_line/output_file.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/rank_program.h"
#include "experiments/recipe/train_command.h"
#include "experiments/recipe/training_recipe.h"
#include "experiments/training/train_plan.h"
#include "experiments/training/training_run.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/communicator/ranks.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/paths.h"
#include "runtime/silent_log.h"

namespace {

using namespace pal;

constexpr const char* kDescription =
    "Trains a generative classifier: an invertible network with a Gaussian mixture in latent\n"
    "space, by invertible backprop; or a ResNet to compare it with.\n\n"
    "  pal-train --dataset fashion-mnist --beta 4 --epochs 3 -o run\n"
    "  pal-train photos -a ibinn-small --beta 4 -o mine      train/CLASS/*.jpg and val/ inside\n"
    "  pal-train --resume mine                               goes on after a stop, as it was\n"
    "  pal-train --resume mine --epochs 60                   makes it longer\n"
    "  pal-train other --init-from mine -o new               begins with its network";

/// Whether the run that is resumed lies in the output folder.
bool goes_on_here(const TrainOptions& options) {
  if (options.resume.empty() || options.resume == "auto") return !options.resume.empty();
  std::error_code ignored;
  const auto folder = std::filesystem::absolute(options.resume).lexically_normal().parent_path();
  return std::filesystem::equivalent(folder, options.output + "/checkpoints", ignored);
}

/// Whether a path is a folder of data or lies below it.
bool is_within(const std::string& path, const std::string& data) {
  if (data.empty() || !path_is_folder(data)) return false;
  const std::string way = canonical_path(path).lexically_relative(canonical_path(data)).string();
  return !way.empty() && !way.starts_with("..");
}

/// Refuses a folder that cannot become the run's before any time is spent. Removes what it made if
/// the run does not begin.
class Output {
 public:
  explicit Output(const TrainOptions& options) : path_(options.output) {
    existed_ = path_exists(path_);
    if (existed_ && !path_is_folder(path_))
      fail(ErrorKind::environment, "--output: {} is a file; expected a folder, or none yet", path_);
    expect(!is_within(path_, options.data.dataset) && !is_within(path_, options.data.folder),
           "--output: {} lies in the data, {}; choose a folder outside", path_,
           options.data.dataset);
    if (!goes_on_here(options) && find_resume(path_))
      fail(ErrorKind::usage,
           "--output: {} already holds a run; go on with --resume {}, or choose another folder",
           path_, shell_word(path_));
    folder_.emplace(path_);
    set_log_file(folder_->file("log.txt"));
  }
  ~Output() {
    std::error_code unknown;
    if (existed_ || std::filesystem::exists(folder_->file("run.json"), unknown) || unknown) return;
    // A folder of checkpoints that is not empty stays, and so does all the rest.
    if (!std::filesystem::remove(folder_->checkpoints(), unknown)) return;
    folder_.reset();
    for (const char* const name : {"config.toml", "metrics.jsonl", "log.txt", ".lock"})
      remove_file(path_ + "/" + name);
    remove_file(path_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  const RunFolder& folder() const { return *folder_; }

 private:
  std::string path_;
  bool existed_ = false;
  std::optional<RunFolder> folder_;
};

/// The log of ranks that rank 0 does not speak for.
void log_apart(const TrainOptions& options, const Ranks& ranks) {
  silence_log();
  if (options.log_ranks.empty()) return;
  make_folders(options.log_ranks);
  set_log_file(fmt::format("{}/rank-{}.txt", options.log_ranks, ranks.rank()));
}

/// One process is told what it was asked in vain.
void note_idle_options(const OptionTable& table) {
  std::string idle;
  for (const char* const name :
       {"comm", "bucket", "bucket-precision", "join-timeout", "rank-timeout", "log-ranks"})
    if (table.find(name)->origin() >= Origin::file) idle += fmt::format(" --{}", name);
  if (!idle.empty()) log_info("one process alone, so without effect:{}", idle);
}

int train_as_rank(OptionTable& table, TrainOptions& options, Ranks& ranks,
                  const std::string& command) {
  std::optional<Output> output;
  std::optional<RunFolder> of_others;
  if (ranks.is_first())
    output.emplace(options);
  else
    of_others.emplace(options.output, RunFolder::Unlocked());
  if (!ranks.is_first()) log_apart(options, ranks);
  try {
    if (ranks.alone())
      note_idle_options(table);
    else
      ranks.expect_agreement(shared_options(table));
    place_rank(options.compute, options.comm, ranks);
    TrainSetup setup(options, recipe_json(table, options), ranks);
    const bool flow = preset(options.arch).family == ModelFamily::flow;
    return run_training(setup, output ? output->folder() : *of_others, command,
                        effective_config(table, flow));
  } catch (const std::exception& error) {
    log_file_line(fmt::format("error: {}", error.what()));
    throw;
  }
}

int train(OptionTable& table, TrainOptions& options, const std::string& command) {
  set_log_level(options.quiet     ? LogLevel::quiet
                : options.verbose ? LogLevel::verbose
                                  : LogLevel::normal);
  const RankEnvironment environment = read_rank_environment();
  settle_batch(table, options, environment.rank, environment.size);
  const bool flow = preset(options.arch).family == ModelFamily::flow;
  if (environment.rank > 0 && (options.print_config || options.dry_run)) return 0;
  if (options.print_config) {
    print_result(options.json ? options_json(table, flow) : effective_config(table, flow, true));
    return 0;
  }
  if (options.dry_run) {
    Ranks alone;
    TrainSetup setup(options, recipe_json(table, options), alone);
    print_plan(setup, table);
    return 0;
  }
  check_output_file("--trace", options.trace);
  if (!environment.hint.empty()) log_info("{}", environment.hint);
  RankSpec spec = rank_spec("pal-train", environment, options.output);
  spec.patience.join_seconds = options.join_seconds;
  Ranks ranks(spec);
  return ranks.run([&] { return train_as_rank(table, options, ranks, command); });
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(
      "pal-train",
      [&] {
        OptionTable table("pal-train", kDescription);
        TrainOptions options;
        add_train_options(table, options);
        if (!read_train_options(table, options, argc, argv)) return 0;
        std::string command;
        for (int i = 0; i < argc; ++i) command += (i > 0 ? " " : "") + std::string(argv[i]);
        return train(table, options, command);
      },
      pal::Processes::shared);
}
