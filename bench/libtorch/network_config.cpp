#include "bench/libtorch/network_config.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace rival {

NetworkConfig network_config(const std::string& json) {
  const auto object = nlohmann::json::parse(json, nullptr, false);
  if (!object.is_object()) throw std::runtime_error("configuration: expected a JSON object");
  const auto read = [&](const char* key, auto& field) {
    try {
      object.at(key).get_to(field);
    } catch (const nlohmann::json::exception&) {
      throw std::runtime_error(std::string("configuration: ") + key +
                               " is missing or has the wrong type");
    }
  };
  NetworkConfig c;
  read("arch", c.arch);
  read("family", c.family);
  read("entry", c.entry);
  read("subnet", c.subnet);
  read("coupling", c.coupling);
  read("mixing", c.mixing);
  read("act-norm", c.act_norm);
  read("dct", c.dct);
  read("image-size", c.image_size);
  read("channels", c.channels);
  read("classes", c.classes);
  read("rank", c.rank);
  read("blocks", c.blocks);
  read("strides", c.strides);
  read("entry-7x7", c.entry_7x7);
  read("welling", c.welling);
  read("gin", c.gin);
  read("dct-reported", c.dct_reported);
  read("latent-norm", c.latent_norm);
  read("head-permutation", c.head_permutation);
  read("clamp", c.clamp);
  return c;
}

}  // namespace rival
