#include "layers/models/export_model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/mixing/permutation.h"
#include "kernels/resample/dct.h"
#include "layers/checkpoint/torch_writer.h"
#include "layers/models/published_layout.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// A tensor of f32 as a file holds it, made when it is written.
StoredTensor stored_floats(const std::string& name, std::vector<int64_t> shape,
                           std::function<Tensor()> make) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return {name, "F32", std::move(shape), count * static_cast<int64_t>(sizeof(float)),
          [make = std::move(make)](const ByteSink& sink) {
            const Tensor values = make();
            sink({static_cast<const uint8_t*>(values.raw()), static_cast<size_t>(values.bytes())});
          }};
}

Tensor as_in_file(const Tensor& value) {
  return value.rank() == 4 ? to_channel_first(value) : value.dense();
}

std::vector<int64_t> extents_in_file(const Tensor& value) {
  if (value.rank() == 4) return {value.size(0), value.size(3), value.size(1), value.size(2)};
  std::vector<int64_t> extents;
  for (int axis = 0; axis < value.rank(); ++axis) extents.push_back(value.size(axis));
  return extents;
}

StoredTensor plain(const std::string& name, const Tensor& value) {
  return stored_floats(name, extents_in_file(value), [value] { return as_in_file(value); });
}

StoredTensor counter(const std::string& statistic) {
  const std::string layer = statistic.substr(0, statistic.rfind('.') + 1);
  return {layer + std::string(kTorchCounter), "I64", {}, sizeof(int64_t), [](const ByteSink& sink) {
            constexpr std::array<uint8_t, sizeof(int64_t)> kNone{};
            sink(kNone);
          }};
}

/// Every parameter and buffer of a model by its name.
std::vector<std::pair<std::string, Tensor>> named_values(const Model& model) {
  std::vector<std::pair<std::string, Tensor>> values;
  for (const Parameter* p : model.state().parameters) values.emplace_back(p->name, p->value);
  for (const Buffer& b : model.state().buffers)
    if (b.tensor->defined()) values.emplace_back(b.name, *b.tensor);
  return values;
}

/// W of an index map [n, n, 1, 1], or its inverse, which is its transpose.
Tensor one_hot(const Tensor& index, bool transposed) {
  const int64_t n = index.numel();
  const auto* const from = index.data<int32_t>();
  const Tensor matrix = Tensor::zeros({n, n});
  for (int64_t i = 0; i < n; ++i)
    matrix.data<float>()[transposed ? from[i] * n + i : i * n + from[i]] = 1.0F;
  return matrix;
}

Tensor transpose(const Tensor& matrix) {
  const int64_t n = matrix.size(0);
  const Tensor turned = Tensor::empty({n, n});
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      turned.data<float>()[j * n + i] = matrix.data<float>()[i * n + j];
  return turned;
}

/// Kernels [rows, 1, 2, 2]: four rows that are repeated.
Tensor repeated_kernels(int64_t rows, const std::array<float, 16>& four) {
  const Tensor kernels = Tensor::empty({rows, 4});
  for (int64_t i = 0; i < rows * 4; ++i)
    kernels.data<float>()[i] = four[static_cast<size_t>(i % 16)];
  return kernels;
}

class FlowExport {
 public:
  FlowExport(const Model& model, const std::string& file) : model_(model), file_(file) {}

  std::vector<TorchGroup> run() {
    check_fields();
    for (const auto& [name, value] : named_values(model_)) add(name, value);
    add_fixed_maps();
    return {TorchGroup{"inn", std::move(inn_)}, TorchGroup{"", std::move(head_)}};
  }

 private:
  /// All of them at once, so that nobody meets them one by one.
  void check_fields() const {
    const ModelConfig& config = model_.config();
    const ModelConfig standard = preset("ibinn-imagenet");
    std::vector<std::string> wrong;
    for (const char* field : kPublishedFixedFields)
      if (const std::string ours = field_text(config, field); ours != field_text(standard, field))
        wrong.push_back(
            fmt::format("{} {} (it means {})", field, ours, field_text(standard, field)));
    if (config.mixing != MixingKind::permutation && config.mixing != MixingKind::orthogonal &&
        config.mixing != MixingKind::householder)
      wrong.push_back(fmt::format("mixing {} (permutation, orthogonal or householder)",
                                  field_text(config, "mixing")));
    if (!wrong.empty())
      fail(ErrorKind::data, "{}: the published layout cannot hold {}", file_,
           fmt::join(wrong, ", "));
  }

  /// Keys of the file: those of blocks lie under `inn`, without it in their names.
  void add_published(StoredTensor tensor) {
    constexpr std::string_view kGroup = "inn.";
    if (!tensor.name.starts_with(kGroup)) return head_.push_back(std::move(tensor));
    tensor.name.erase(0, kGroup.size());
    inn_.push_back(std::move(tensor));
  }

  void add(const std::string& ours, const Tensor& value) {
    const auto [name, form] = published_tensor(ours);
    const int64_t n = value.size(0);
    switch (form) {
      case PublishedForm::fixed:
        return check_head_permutation(value);
      case PublishedForm::means:
        return add_means(name, value);
      case PublishedForm::index:
        return add_matrix(
            name, n, [value] { return one_hot(value, false); },
            [value] { return one_hot(value, true); });
      case PublishedForm::matrix:
        return add_matrix(
            name, n, [value] { return value.dense(); }, [value] { return transpose(value); });
      case PublishedForm::channels:
        return add_published(stored_floats(name, {1, n, 1, 1}, [value] { return value.dense(); }));
      case PublishedForm::plain:
        break;
    }
    add_published(plain(name, value));
    if (name.ends_with(".running_var")) add_published(counter(name));
  }

  void add_matrix(const std::string& name, int64_t n, std::function<Tensor()> matrix,
                  std::function<Tensor()> inverse) {
    const std::string block = name.substr(0, name.rfind('.') + 1);
    add_published(stored_floats(name, {n, n, 1, 1}, std::move(matrix)));
    add_published(
        stored_floats(block + std::string(kPublishedInverse), {n, n, 1, 1}, std::move(inverse)));
  }

  /// Means of full rank are two tensors.
  void add_means(const std::string& name, const Tensor& value) {
    const int64_t classes = value.size(0);
    const int64_t mean_dims = mixture_spec(model_.config()).mean_dims;
    const int64_t rest = value.size(1) - mean_dims;
    add_published(stored_floats(name, {1, classes, mean_dims}, [value, mean_dims] {
      return value.slice_channels(0, mean_dims).dense();
    }));
    if (rest > 0)
      add_published(stored_floats(
          std::string(kPublishedRest), {1, classes, rest},
          [value, mean_dims, rest] { return value.slice_channels(mean_dims, rest).dense(); }));
  }

  void check_head_permutation(const Tensor& value) const {
    const std::vector<int32_t> known = numpy_permutation(value.numel());
    if (!std::equal(known.begin(), known.end(), value.data<int32_t>()))
      fail(ErrorKind::data,
           "{}: model.head_permutation: the published layout cannot hold another than NumPy's of "
           "seed 0",
           file_);
  }

  /// What the published code keeps in buffers although it never changes.
  void add_fixed_maps() {
    constexpr std::array<float, 16> kOneOfFour = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    constexpr std::array<float, 16> kWavelets = {1, 1, 1,  1,  1, -1, 1,  -1,
                                                 1, 1, -1, -1, 1, -1, -1, 1};
    const ModelConfig& config = model_.config();
    const auto block_name = [](int64_t block, std::string_view rest) {
      return fmt::format("{}{}.{}", kPublishedBlocks, block, rest);
    };
    const auto add_kernels = [&](const std::string& name, int64_t rows,
                                 const std::array<float, 16>& four) {
      add_published(stored_floats(name, {rows, 1, 2, 2},
                                  [rows, four] { return repeated_kernels(rows, four); }));
    };
    int64_t block = 0;
    int64_t channels = config.channels;
    const auto downsampling = [&] {
      add_kernels(block_name(++block, fmt::format("{}0", kPublishedSqueezes)),
                  4 * (channels - channels / 2), kOneOfFour);
      add_kernels(block_name(block, fmt::format("{}1", kPublishedSqueezes)), 4 * (channels / 2),
                  kOneOfFour);
      channels *= 4;
    };
    if (config.entry == EntryKind::entry) downsampling();
    channels *= 4;
    add_kernels(block_name(++block, kPublishedHaar), channels, kWavelets);
    if (config.entry == EntryKind::entry) ++block;
    for (size_t stage = 0; stage < config.blocks.size(); ++stage) {
      const bool halves = config.strides[stage] == 2;
      if (halves) downsampling();
      block += config.blocks[stage] - (halves ? 1 : 0);
    }
    // One step without tensors lies between the couplings and the DCT.
    add_dct(block_name(block + 2, ""), channels);
  }

  /// The unnormalised DCT-II [N, N], and its inverse.
  void add_dct(const std::string& block, int64_t channels) {
    const ModelConfig& config = model_.config();
    const int64_t size = std::llround(std::sqrt(
        static_cast<double>(config.channels * config.image_size * config.image_size / channels)));
    const std::vector<double> scaled = dct_matrix(size, DctMap{});
    // Of the reference flavour all entries have one factor, by which the first is 2.
    const double factor = 2.0 / scaled[0];
    const auto matrix = [=](bool inverse) {
      const Tensor values = Tensor::empty({size, size});
      for (int64_t k = 0; k < size; ++k)
        for (int64_t n = 0; n < size; ++n) {
          const double entry = factor * scaled[static_cast<size_t>(k * size + n)];
          const double share = 1.0 / static_cast<double>((k == 0 ? 4 : 2) * size);
          values.data<float>()[inverse ? n * size + k : k * size + n] =
              static_cast<float>(inverse ? entry * share : entry);
        }
      return values;
    };
    add_published(stored_floats(block + std::string(kPublishedDct), {size, size},
                                [matrix] { return matrix(false); }));
    add_published(stored_floats(block + std::string(kPublishedInverseDct), {size, size},
                                [matrix] { return matrix(true); }));
  }

  const Model& model_;
  const std::string& file_;
  std::vector<StoredTensor> inn_;
  std::vector<StoredTensor> head_;
};

/// A state dictionary, and what its names and shapes leave open.
std::vector<TorchGroup> export_resnet(const Model& model, const std::string& file,
                                      std::vector<std::string>& lost) {
  const ModelConfig& config = model.config();
  for (size_t stage = 0; stage < config.strides.size(); ++stage)
    if (config.strides[stage] != (stage == 0 ? 1 : 2))
      fail(ErrorKind::data, "{}: torchvision's layout cannot hold strides {} (it means 1,2,2,...)",
           file, field_text(config, "strides"));
  if (config.entry == EntryKind::haar)
    lost.emplace_back("entry haar: pal-convert reads it again with --entry haar");
  lost.push_back(fmt::format("image-size {}: read again, it is {}", config.image_size,
                             config.entry == EntryKind::entry ? 224 : 32));
  TorchGroup group;
  for (const auto& [name, value] : named_values(model)) {
    group.tensors.push_back(plain(name, value));
    if (name.ends_with(".running_var")) group.tensors.push_back(counter(name));
  }
  return {group};
}

}  // namespace

ExportedModel export_model(const std::string& path, const LoadedModel& loaded,
                           const std::string& file) {
  const Model& model = *loaded.model;
  ExportedModel exported;
  std::vector<TorchGroup> groups = model.config().family == ModelFamily::flow
                                       ? FlowExport(model, file).run()
                                       : export_resnet(model, file, exported.lost);
  exported.lost.push_back(fmt::format("mean {} and std {} of the input",
                                      fmt::join(loaded.input.mean, ","),
                                      fmt::join(loaded.input.std, ",")));
  if (!are_numbers(loaded.input.class_names)) exported.lost.emplace_back("names of the classes");
  for (const TorchGroup& group : groups)
    exported.tensors += static_cast<int64_t>(group.tensors.size());
  for (const Parameter* p : model.state().parameters) exported.parameters += p->shape.numel();
  write_torch_file(path, groups);
  return exported;
}

}  // namespace pal
