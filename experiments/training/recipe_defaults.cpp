#include "experiments/training/recipe_defaults.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pal {
namespace {

using Values = std::vector<std::pair<const char*, const char*>>;

const std::map<std::string, Values>& recipes() {
  static const std::map<std::string, Values> table = {
      {"ibinn-imagenet",
       {{"--batch-size", "384"},
        // Three stages that plateau ends; this many epochs are a limit.
        {"--epochs", "150"},
        {"--sched", "plateau"},
        {"--shift", "0"},
        {"--recalibrate-bn", "1000"},
        {"--check-every", "1000"}}},
      {"ibinn-small", {{"--lr", "0.01"}, {"--shift", "0"}, {"--crop-scale", "0.5,1"}}},
      {"resnet50",
       {{"--batch-size", "256"},
        {"--epochs", "90"},
        {"--lr", "0.1"},
        {"--wd", "1e-4"},
        {"--milestones", "0.33333333,0.66666667"},
        {"--clip-grad", "0"},
        {"--burn-in", "0"},
        {"--smoothing", "0"},
        {"--shift", "0"},
        {"--noise", "false"},
        {"--fast-decode", "true"},
        {"--recalibrate-bn", "0"},
        {"--activation-memory", "max"},
        {"--check-every", "1000"}}},
      {"resnet-small",
       {{"--wd", "1e-4"},
        {"--shift", "0"},
        {"--crop-scale", "0.5,1"},
        {"--noise", "false"},
        {"--burn-in", "0"},
        {"--fast-decode", "true"},
        {"--recalibrate-bn", "0"},
        {"--activation-memory", "max"}}}};
  return table;
}

}  // namespace

void apply_recipe_defaults(CLI::App& app) {
  const auto recipe = recipes().find(app.get_option("--arch")->as<std::string>());
  if (recipe == recipes().end()) return;
  for (const auto& [flag, text] : recipe->second) {
    CLI::Option* const option = app.get_option(flag);
    if (option->count() > 0) continue;
    option->add_result(text);
    option->run_callback();
  }
}

}  // namespace pal
