#include "tests/support/published_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "layers/checkpoint/safetensors.h"
#include "layers/checkpoint/torch_file.h"
#include "tests/support/numeric.h"
#include "tests/support/tiny_model.h"
#include "tests/support/torch_writer.h"

namespace pal::testing {
namespace {

std::vector<int64_t> extents(const Tensor& tensor) {
  std::vector<int64_t> shape;
  for (int axis = 0; axis < tensor.rank(); ++axis) shape.push_back(tensor.size(axis));
  return shape;
}

std::string published_name(const std::string& ours) {
  if (ours.starts_with("blocks.")) return "inn/module_list." + ours.substr(7);
  if (ours == "mu_mean") return "mu";
  if (ours == "mu_alpha") return "mu_t";
  return "mu_m";
}

}  // namespace

Tensor one_hot(const Tensor& index) {
  const int64_t n = index.numel();
  const Tensor w = Tensor::zeros({n, n});
  for (int64_t i = 0; i < n; ++i) w.data<float>()[i * n + index.data<int32_t>()[i]] = 1.0F;
  return w;
}

Published* find_tensor(PublishedTensors& tensors, const std::string& name) {
  for (Published& each : tensors)
    if (each.name == name) return &each;
  ADD_FAILURE() << "no " << name;
  return nullptr;
}

PublishedTensors publish(const IbInn& model) {
  PublishedTensors tensors;
  const auto add = [&](const std::string& ours, const Tensor& value) {
    std::string name = published_name(ours);
    const Tensor stored = value.rank() == 4 ? to_channel_first(value) : value;
    std::vector<int64_t> shape = extents(stored);
    if (name.ends_with("act_norm") || name.ends_with("act_offset"))
      shape = {1, stored.numel(), 1, 1};
    if (name == "mu") shape.insert(shape.begin(), 1);
    if (!name.ends_with(".w_index")) {
      if (name.ends_with(".w")) shape.insert(shape.end(), {1, 1});
      return tensors.push_back({name, stored, shape});
    }
    const Tensor w = one_hot(stored);
    name.resize(name.size() - std::strlen("_index"));
    tensors.push_back({name, w, {w.size(0), w.size(0), 1, 1}});
    tensors.push_back({name + "_inv", w, {w.size(0), w.size(0), 1, 1}});
  };
  for (const Buffer& b : model.state().buffers)
    if (b.name != "head_permutation") add(b.name, *b.tensor);
  for (const Parameter* p : model.state().parameters) add(p->name, p->value);
  const Tensor leftover = Tensor::zeros({2});
  for (const char* name :
       {"inn/tmp_var_0", "inn/module_list.2.haar_weights", "inn/module_list.1.reshape_kernels.0",
        "inn/module_list.1.s_hi.1.num_batches_tracked", "opt/momentum"})
    tensors.push_back({name, leftover, {2}});
  std::ranges::stable_sort(tensors, {}, [](const Published& each) {
    return each.name.substr(0, each.name.find('/') + 1);
  });
  return tensors;
}

PublishedTensors publish(const ResNet& model, const std::string& prefix) {
  PublishedTensors tensors;
  const auto add = [&](const std::string& name, const Tensor& value) {
    const Tensor stored = value.rank() == 4 ? to_channel_first(value) : value;
    tensors.push_back({prefix + name, stored, extents(stored)});
  };
  for (const Parameter* p : model.state().parameters) add(p->name, p->value);
  for (const Buffer& b : model.state().buffers) add(b.name, *b.tensor);
  tensors.push_back({prefix + "bn1.num_batches_tracked", Tensor::zeros({1}), {}});
  return tensors;
}

PublishedTensors moved(PublishedTensors tensors, const std::string& network,
                       const std::string& others) {
  for (Published& each : tensors) {
    const bool inside = each.name.starts_with("inn/");
    each.name = inside ? network + each.name.substr(4) : others + each.name;
  }
  return tensors;
}

PublishedTensors joined(PublishedTensors first, const PublishedTensors& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::string torch_file(const PublishedTensors& tensors) {
  TorchWriter writer;
  writer.add_value("epoch", "K\3");
  for (const Published& each : tensors) writer.add(each.name, each.tensor, each.shape);
  return writer.write();
}

ImportedModel import_bytes(const std::string& text, const InputSpec& input,
                           const ImportChoice& choice) {
  const std::vector<uint8_t> bytes = bytes_of(text);
  return import_model(TorchFile(bytes, "f"), input, choice);
}

void expect_refused(const PublishedTensors& tensors, const std::string& message) {
  expect_error(ErrorKind::data, message, [&] { import_bytes(torch_file(tensors)); });
}

void expect_same_tensors(const Checkpoint& got, const Checkpoint& wanted) {
  ASSERT_EQ(got.tensors.size(), wanted.tensors.size());
  for (const auto& [name, tensor] : wanted.tensors) {
    const Tensor* found = got.find(name);
    ASSERT_NE(found, nullptr) << name;
    ASSERT_EQ(found->shape(), tensor.shape()) << name;
    ASSERT_EQ(found->dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::memcmp(found->raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0)
        << name;
  }
}

ModelConfig published_config() {
  ModelConfig config = tiny_config();
  config.latent_norm = false;
  return config;
}

ModelConfig tiny_resnet50() {
  ModelConfig config = preset("resnet50");
  config.classes = 5;
  config.entry_width = 4;
  config.blocks = {2, 1, 1};
  config.strides = {1, 2, 2};
  config.widths = {2, 3, 4};
  return config;
}

}  // namespace pal::testing
