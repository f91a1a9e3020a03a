// Published IB-INN checkpoints (layers/models/README.md, 9).
#include <cmath>
#include <optional>

#include "kernels/mixing/permutation.h"
#include "layers/models/import_flow_config.h"
#include "layers/models/import_tensors.h"

namespace pal {
namespace {

std::string published_name(const std::string& ours) {
  constexpr std::string_view kBlocks = "blocks.";
  if (ours.starts_with(kBlocks)) return std::string(kPublishedBlocks) + ours.substr(kBlocks.size());
  if (ours == "mu_mean") return "mu";
  if (ours == "mu_alpha") return "mu_t";
  if (ours == "mu_prototypes") return "mu_m";
  return ours;
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

/// Inversion multiplies by the transpose, so W^T W v must be v.
void check_orthogonal(const ImportTensors& tensors, const std::string& name, const Tensor& matrix) {
  constexpr double kMost = 1e-3;
  const int64_t n = matrix.size(0);
  const auto* w = matrix.data<float>();
  std::vector<double> probe(static_cast<size_t>(n));
  std::vector<double> back(static_cast<size_t>(n), 0.0);
  for (int64_t i = 0; i < n; ++i)
    probe[static_cast<size_t>(i)] = std::cos(static_cast<double>(i * i));
  for (int64_t i = 0; i < n; ++i) {
    double mixed = 0.0;
    for (int64_t j = 0; j < n; ++j) mixed += w[i * n + j] * probe[static_cast<size_t>(j)];
    for (int64_t j = 0; j < n; ++j) back[static_cast<size_t>(j)] += w[i * n + j] * mixed;
  }
  for (int64_t i = 0; i < n; ++i)
    if (!(std::abs(back[static_cast<size_t>(i)] - probe[static_cast<size_t>(i)]) < kMost))
      tensors.refuse(name, "neither a permutation nor an orthogonal matrix");
}

class Importer {
 public:
  Importer(ImportTensors& tensors, const PublishedFlow& flow) : tensors_(tensors), flow_(flow) {}

  Tensor make(const std::string& ours, const Shape& shape) {
    const std::string name = published_name(ours);
    if (ours == "head_permutation") return index_tensor(numpy_permutation(flow_.mean_dims));
    if (ours == "mu_mean") return class_means(shape);
    const std::string last = last_part(name);
    if (last == "w_index") return index(name);
    if (last == "w" || last == "w_0") return matrix(name);
    return tensors_.take(name, shape);
  }

 private:
  /// Full-rank means come in two parts.
  Tensor class_means(const Shape& shape) {
    if (!tensors_.contains("mu_conv")) return tensors_.take("mu", shape);
    const Tensor means = Tensor::empty(shape);
    const int64_t rest = shape[1] - flow_.mean_dims;
    means.slice_channels(0, flow_.mean_dims)
        .copy_from(tensors_.take("mu", {shape[0], flow_.mean_dims}));
    means.slice_channels(flow_.mean_dims, rest)
        .copy_from(tensors_.take("mu_conv", {shape[0], rest}));
    return means;
  }

  Tensor index(const std::string& name) {
    const std::string dense = name.substr(0, name.rfind('.') + 1) + "w";
    tensors_.mark_used(tensors_.contains(name) ? name : dense);
    return index_tensor(flow_.permutations.at(name));
  }

  Tensor matrix(const std::string& name) {
    const std::string block = name.substr(0, name.rfind('.') + 1);
    const int64_t channels = tensors_.get(block + "act_norm").numel();
    const Tensor matrix = tensors_.take(name, {channels, channels});
    check_orthogonal(tensors_, name, matrix);
    return matrix;
  }

  ImportTensors& tensors_;
  const PublishedFlow& flow_;
};

/// The kind of a tensor that is no part of the network; none if it is unknown.
std::optional<std::string> leftover_kind(const std::string& name) {
  if (!name.starts_with("inn.")) return ImportTensors::shown(name.substr(0, name.find('.')));
  if (name.starts_with("inn.tmp_var_")) return "tmp_var";
  if (!name.starts_with(kPublishedBlocks)) return std::nullopt;
  const size_t dot = name.find('.', kPublishedBlocks.size());
  const std::string rest = dot == std::string::npos ? "" : name.substr(dot + 1);
  if (rest == "w_inv" || rest == "haar_weights") return rest;
  if (rest.starts_with("reshape_kernels.")) return "reshape_kernels";
  if (rest == "weight" || rest == "inv_weight") return "DCT matrices";
  if (rest.ends_with(".num_batches_tracked")) return "num_batches_tracked";
  return std::nullopt;
}

}  // namespace

ImportedModel import_ib_inn(ImportTensors& tensors, const InputSpec& input) {
  const PublishedFlow flow = infer_published_flow(tensors);
  ImportedModel imported;
  imported.config = flow.config;
  const auto network = imported_network(flow.config, tensors.source().file());
  Importer importer(tensors, flow);
  fill_checkpoint(imported, *network, input, [&](const std::string& name, const Shape& shape) {
    return importer.make(name, shape);
  });
  imported.ignored =
      tensors.count_leftovers(leftover_kind, "not a tensor of the network that the others make");
  imported.non_finite = tensors.non_finite();
  return imported;
}

}  // namespace pal
