// Which networks a file holds: the published IB-INN is told by inn.module_list.* beside mu, a ResNet
// by layer1.0.conv1.weight beside conv1.weight and fc.weight, at any depth of the file.
#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "layers/models/import_tensors.h"

namespace pal {
namespace {

constexpr std::string_view kFlow = "inn.";
constexpr std::string_view kFlowBlocks = "module_list.";
constexpr std::string_view kFirstResidual = "layer1.0.conv1.weight";
/// Modules that hold another one, whose names they prefix.
constexpr std::array<std::string_view, 2> kWrappers = {"module.", "_orig_mod."};

/// Whether `text` ends with whole keys `end`.
bool ends_with_keys(std::string_view text, std::string_view end) {
  return text.ends_with(end) &&
         (text.size() == end.size() || text[text.size() - end.size() - 1] == '.');
}

/// `prefix` without the wrappers at its end.
std::string_view unwrapped(std::string_view prefix) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view wrapper : kWrappers)
      if (ends_with_keys(prefix, wrapper)) {
        prefix.remove_suffix(wrapper.size());
        again = true;
      }
  }
  return prefix;
}

/// The network of which a tensor of this name is a sign; its key is not known yet.
std::optional<ImportNetwork> network_of(const std::string& name,
                                        const std::set<std::string_view>& names) {
  const std::string_view text = name;
  const auto is_there = [&](const ImportNetwork& network, const char* tensor) {
    return names.contains(network.file_name(tensor));
  };
  ImportNetwork network;
  if (ends_with_keys(text, kFirstResidual)) {
    network.prefix = text.substr(0, text.size() - kFirstResidual.size());
    if (is_there(network, "conv1.weight") && is_there(network, "fc.weight")) return network;
  }
  const size_t blocks = text.find(kFlowBlocks);
  if (blocks == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, blocks);
  const std::string_view flow = unwrapped(before);
  if (!ends_with_keys(flow, kFlow)) return std::nullopt;
  network.layout = ImportLayout::ib_inn;
  network.prefix = flow.substr(0, flow.size() - kFlow.size());
  network.wrapper = before.substr(flow.size());
  if (!is_there(network, "mu")) return std::nullopt;
  return network;
}

std::string first_key(std::string_view name) { return std::string(name.substr(0, name.find('.'))); }

std::string without_dot(std::string_view prefix) {
  return prefix.empty() ? "." : std::string(prefix.substr(0, prefix.size() - 1));
}

}  // namespace

std::string ImportNetwork::file_name(const std::string& name) const {
  if (wrapper.empty() || !name.starts_with(kFlow)) return prefix + name;
  return prefix + std::string(kFlow) + wrapper + name.substr(kFlow.size());
}

std::optional<std::string> ImportNetwork::published_name(const std::string& file_name) const {
  if (!file_name.starts_with(prefix)) return std::nullopt;
  const std::string name = file_name.substr(prefix.size());
  if (inner.contains(first_key(name))) return std::nullopt;
  const std::string wrapped = std::string(kFlow) + wrapper;
  if (wrapper.empty() || !name.starts_with(wrapped)) return name;
  return std::string(kFlow) + name.substr(wrapped.size());
}

std::vector<ImportNetwork> import_networks(const std::vector<std::string>& tensor_names) {
  const std::set<std::string_view> names(tensor_names.begin(), tensor_names.end());
  std::vector<ImportNetwork> networks;
  std::set<std::string> seen;
  std::map<std::string, int> keys;
  for (const std::string& name : tensor_names) {
    auto network = network_of(name, names);
    if (!network || !seen.insert(network->file_name("inn.")).second) continue;
    const std::string_view short_prefix = unwrapped(network->prefix);
    network->key = without_dot(short_prefix.empty() ? network->prefix : short_prefix);
    ++keys[network->key];
    networks.push_back(std::move(*network));
  }
  for (ImportNetwork& network : networks)
    if (keys[network.key] > 1) network.key = without_dot(network.prefix);
  return networks;
}

std::vector<ImportNetwork> import_networks(const TensorSource& source) {
  std::vector<std::string> names;
  names.reserve(source.tensors().size());
  for (const SourceTensor& tensor : source.tensors()) names.push_back(tensor.name);
  return import_networks(names);
}

std::string key_list(const std::vector<std::string>& keys) {
  constexpr size_t kMost = 8;
  std::vector<std::string> shown;
  for (const std::string& key : keys)
    if (shown.size() < kMost) shown.push_back(printable(key));
  const std::string list = fmt::format("{}", fmt::join(shown, ", "));
  return keys.size() <= kMost ? list : fmt::format("{} and {} more", list, keys.size() - kMost);
}

ImportNetwork chosen_network(const TensorSource& source, const std::string& key) {
  const std::vector<ImportNetwork> networks = import_networks(source);
  if (networks.empty())
    fail(ErrorKind::data,
         "{}: neither a published IB-INN (tensors inn.module_list.*, mu, mu_t, mu_m) nor a "
         "torchvision ResNet (conv1.weight, layer1.0.conv1.weight, ..., fc.weight)",
         source.file());
  const auto is_meant = [&](const ImportNetwork& network) {
    return key.empty() || network.key == key || network.prefix == key + ".";
  };
  const auto found = std::ranges::find_if(networks, is_meant);
  if (found == networks.end() || (key.empty() && networks.size() > 1)) {
    std::vector<std::string> keys;
    for (const ImportNetwork& network : networks) keys.push_back(network.key);
    if (key.empty())
      fail(ErrorKind::data, "{}: {} networks, {}: --key NAME chooses one", source.file(),
           networks.size(), key_list(keys));
    fail(ErrorKind::usage, "--key: {} has no network {}, expected {}", source.file(),
         printable(key), key_list(keys));
  }
  ImportNetwork network = *found;
  for (const ImportNetwork& other : networks)
    if (other.prefix.size() > network.prefix.size() && other.prefix.starts_with(network.prefix))
      network.inner.insert(first_key(other.prefix.substr(network.prefix.size())));
  return network;
}

}  // namespace pal
