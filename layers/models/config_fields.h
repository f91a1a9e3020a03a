#pragma once
// The table of configuration fields behind set_field, to_json and config_from_json.
#include "layers/models/config.h"

namespace pal {

/// Calls visit(key, field) for every field, in the order of the documentation. A field's place in
/// files, options and checkpoints is its line here.
template <typename Config, typename Visit>
void visit_fields(Config& config, Visit&& visit) {
  visit("arch", config.arch);
  visit("family", config.family);
  visit("image-size", config.image_size);
  visit("channels", config.channels);
  visit("classes", config.classes);
  visit("entry", config.entry);
  visit("entry-7x7", config.entry_7x7);
  visit("entry-width", config.entry_width);
  visit("blocks", config.blocks);
  visit("strides", config.strides);
  visit("widths", config.widths);
  visit("subnet", config.subnet);
  visit("coupling", config.coupling);
  visit("mixing", config.mixing);
  visit("reflections", config.reflections);
  visit("welling", config.welling);
  visit("gin", config.gin);
  visit("clamp", config.clamp);
  visit("act-norm", config.act_norm);
  visit("act-norm-init", config.act_norm_init);
  visit("subnet-gain", config.subnet_gain);
  visit("dct", config.dct);
  visit("dct-reported", config.dct_reported);
  visit("latent-norm", config.latent_norm);
  visit("rank", config.rank);
  visit("mu-init", config.mu_init);
  visit("head-permutation", config.head_permutation);
  visit("compute", config.compute);
}

}  // namespace pal
