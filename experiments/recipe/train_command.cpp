#include "experiments/recipe/train_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "experiments/command_line/options_file.h"
#include "experiments/command_line/parse_options.h"
#include "experiments/recipe/training_recipe.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/models/config_help.h"
#include "layers/models/model_io.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

bool is_run(const fs::path& path) { return path_is_folder(path / "checkpoints"); }

/// The data that the command line names, in whatever way, replace those of any file.
void claim_data(OptionTable& table, TrainOptions& o) {
  const bool named = !o.data.folder.empty() || !o.data.dataset.empty();
  expect(!o.synthetic || !named, "--synthetic: goes with no other data");
  if (!named && !o.synthetic) return;
  settle_data(o.data);
  for (const char* name : {"dataset", "dir", "synthetic"}) {
    table.at(name).claim(Origin::command);
  }
  if (named) table.at("class-names").claim(Origin::command);
}

/// The run whose folder, checkpoints or one of its checkpoints a path names, as seen from here if
/// it lies below.
fs::path run_of(const std::string& given, bool folder) {
  fs::path path = fs::absolute(given).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  fs::path run = folder ? path : path.parent_path();
  if (run.filename() == "checkpoints") run = run.parent_path();
  std::error_code ignored;
  const fs::path nearby = run.lexically_relative(fs::current_path(ignored));
  return nearby.empty() || nearby.string().starts_with("..") ? run : nearby;
}

/// The folder of the run that is resumed, which becomes the output unless another one is named; a
/// folder in --resume becomes auto or its newest checkpoint. Empty without --resume.
fs::path resumed_run(OptionTable& table, TrainOptions& o) {
  if (o.resume.empty()) return {};
  Option& output = table.at("output");
  if (!o.config_file.empty())
    if (const std::string named = config_values(o.config_file)["output"]; !named.empty())
      output.set(named, Origin::file, o.config_file + ": output");
  const bool free = !output.is_given();
  if (o.resume == "auto") {
    const fs::path beside = fs::path(o.config_file).parent_path();
    if (free && !o.config_file.empty() && is_run(beside.empty() ? "." : beside))
      o.output = beside.empty() ? "." : beside.string();
    return o.output;
  }
  std::error_code ignored;
  if (!path_exists(o.resume))
    fail(ErrorKind::data, "--resume: {}: no such run or checkpoint", o.resume);
  const bool folder = path_is_folder(o.resume);
  const fs::path run = run_of(o.resume, folder);
  if (free) o.output = run.string();
  if (!folder) return run;
  if (free || fs::equivalent(run, o.output, ignored)) {
    o.resume = "auto";
    return run;
  }
  const auto newest = find_resume(run.string());
  expect(newest.has_value(), "--resume: {} holds no checkpoint to go on from", run.string());
  o.resume = *newest;
  return run;
}

void read_files(OptionTable& table, const TrainOptions& o, const fs::path& run) {
  const fs::path own = run / "config.toml";
  std::error_code ignored;
  const bool resumes = !run.empty() && path_exists(own);
  // The configuration of the run itself holds as such, without the limits of that process.
  if (!o.config_file.empty() && !(resumes && fs::equivalent(own, o.config_file, ignored))) {
    apply_config_file(table, o.config_file, Origin::file);
    const std::string arch = config_values(o.config_file)["arch"];
    if (!arch.empty() && arch != o.arch)
      log_warning("--arch: {} is of {}; what else it says of network and recipe holds for {} too",
                  o.config_file, arch, o.arch);
  }
  if (!resumes) return;
  apply_config_file(table, own.string(), Origin::run);
  std::map<std::string, std::string> before = config_values(own.string());
  // Runs of version 0.1 knew SGD alone, and say nothing of it.
  if (!before.contains("opt")) table.at("opt").set("sgd", Origin::run, own.string());
  for (const char* limit : {"max-steps", "max-time"})
    if (const std::string& value = before[limit]; !value.empty() && value != "none" && value != "0")
      log_info("--{} {} of the process before does not hold any more", limit, value);
}

void expect_data(const TrainOptions& o) {
  if (names_data(o) || o.print_config) return;
  expect(o.resume.empty() || !is_run(o.output),
         "--resume: {} has no config.toml that names the data; name the folder or --dataset",
         o.output);
  expect(!path_is_file(o.resume),
         "--resume: {} lies in no run's folder, so that nothing names its data; name the folder or "
         "--dataset",
         o.resume);
  expect(o.resume.empty(),
         "--resume: nothing to go on with: no run in {}, and no data are named to begin one",
         o.output);
  fail(ErrorKind::usage,
       "DIR: no data; for example: pal-train photos -a ibinn-small -o run   or: pal-train "
       "--dataset fashion-mnist -o run   (see --help)");
}

/// The preset whose recipe suits a network: its own, or for one that was converted the nearest.
std::string architecture_of(const ModelConfig& config) {
  const auto& known = preset_names();
  if (std::ranges::find(known, config.arch) != known.end()) return config.arch;
  const bool large = config.entry == EntryKind::entry;
  if (config.family == ModelFamily::resnet) return large ? "resnet50" : "resnet-small";
  if (config.channels == 1) return "ibinn-mnist";
  return large ? "ibinn-imagenet" : "ibinn-small";
}

/// A network that is taken over brings its architecture, its fields and what its inputs are like,
/// unless the options say otherwise; of another architecture than the one that is asked for, the
/// inputs alone.
void inherit_network(OptionTable& table, TrainOptions& o) {
  expect(!table.at("flavour").is_given(),
         "--flavour: does not go with --init-from, whose network has its own");
  o.init_from = checkpoint_of(o.init_from);
  const std::string& path = o.init_from;
  const Checkpoint checkpoint = load_metadata(path);
  const ModelConfig config = checkpoint_config(checkpoint, path);
  const auto inherit = [&](const std::string& name, const std::string& text) {
    Option& option = table.at(name);
    if (!option.is_given()) option.set(text, Origin::architecture, path + ": " + name);
  };
  const std::string arch = architecture_of(config);
  inherit("arch", arch);
  if (o.arch == arch) {
    for (const std::string& name : free_field_names())
      if (table.at(name).families() == Families::all || config.family == ModelFamily::flow)
        inherit(name, field_text(config, name));
    inherit("image-size", field_text(config, "image-size"));
  }
  const double before = training_recipe(checkpoint, path).beta;
  if (config.family == ModelFamily::flow && !table.at("beta").is_given() && before != o.beta)
    log_info("--beta: {} here, and {} where the network was trained", o.beta, before);
  const InputSpec input = checkpoint_input(checkpoint, path);
  if (static_cast<int64_t>(input.mean.size()) != preset(o.arch).channels) return;
  inherit("mean", fmt::format("{}", fmt::join(input.mean, ",")));
  inherit("std", fmt::format("{}", fmt::join(input.std, ",")));
}

}  // namespace

bool read_train_options(OptionTable& table, TrainOptions& o, int argc, const char* const* argv) {
  if (parse_command_line(table, argc, argv).answered) return false;
  set_log_level(o.quiet ? LogLevel::quiet : LogLevel::normal);
  const bool both = !o.resume.empty() && !o.init_from.empty();
  expect(!both, "--init-from: does not go with --resume, which has its weights from the run");
  claim_data(table, o);
  read_files(table, o, resumed_run(table, o));
  while (o.output.size() > 1 && o.output.ends_with('/')) o.output.pop_back();
  settle_data(o.data);
  expect(!o.synthetic || o.data.dataset.empty(), "--synthetic: goes with no other data");
  expect_data(o);
  // A run that goes on has all of it in its own configuration.
  if (!o.init_from.empty() && o.resume.empty()) inherit_network(table, o);
  finish_train_options(table, o);
  expect(o.freeze == Freeze::none || !o.init_from.empty() || !o.resume.empty(),
         "--freeze: a new network is random and would stay so; name one with --init-from");
  return true;
}

}  // namespace pal
