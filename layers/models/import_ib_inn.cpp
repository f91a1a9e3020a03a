// Published IB-INN checkpoints (layers/models/README.md, 9).
#include <cmath>
#include <optional>

#include "kernels/mixing/permutation.h"
#include "layers/models/import_flow_config.h"
#include "layers/models/import_tensors.h"
#include "layers/models/published_layout.h"

namespace pal {
namespace {

/// The fixed matrix before learned reflections.
constexpr std::string_view kFirstMixing = ".w_0";

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
    const auto [name, form] = published_tensor(ours);
    switch (form) {
      case PublishedForm::fixed:
        return index_tensor(numpy_permutation(flow_.mean_dims));
      case PublishedForm::means:
        return class_means(name, shape);
      case PublishedForm::index:
        return index(name);
      case PublishedForm::matrix:
        return matrix(name);
      case PublishedForm::channels:
      case PublishedForm::plain:
        break;
    }
    // Extents of 1 do not count.
    return name.ends_with(kFirstMixing) ? matrix(name) : tensors_.take(name, shape);
  }

 private:
  /// Full-rank means come in two parts.
  Tensor class_means(const std::string& name, const Shape& shape) {
    const std::string other(kPublishedRest);
    if (!tensors_.contains(other)) return tensors_.take(name, shape);
    const Tensor means = Tensor::empty(shape);
    const int64_t rest = shape[1] - flow_.mean_dims;
    means.slice_channels(0, flow_.mean_dims)
        .copy_from(tensors_.take(name, {shape[0], flow_.mean_dims}));
    means.slice_channels(flow_.mean_dims, rest).copy_from(tensors_.take(other, {shape[0], rest}));
    return means;
  }

  /// Of the matrix, or of the index map that may stand in its place.
  Tensor index(const std::string& matrix) {
    const std::string index = matrix + "_index";
    tensors_.mark_used(tensors_.contains(index) ? index : matrix);
    return index_tensor(flow_.permutations.at(index));
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
  if (rest == kPublishedInverse || rest == kPublishedHaar) return rest;
  if (rest.starts_with(kPublishedSqueezes))
    return std::string(kPublishedSqueezes.substr(0, kPublishedSqueezes.size() - 1));
  if (rest == kPublishedDct || rest == kPublishedInverseDct) return "DCT matrices";
  if (rest.ends_with('.' + std::string(kTorchCounter))) return std::string(kTorchCounter);
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
