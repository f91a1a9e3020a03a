#pragma once

namespace CLI {
class App;
}

namespace pal {

/// After the command line and the configuration file: gives options that neither set the values of
/// the architecture's recipe (experiments/measures/README.md, 9), where those differ from the
/// general defaults. ibinn-imagenet: the published code's; resnet50: the usual one of 90 epochs.
void apply_recipe_defaults(CLI::App& app);

}  // namespace pal
