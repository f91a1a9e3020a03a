#pragma once
#include <string>
#include <vector>

#include "layers/models/ib_inn.h"
#include "layers/models/import_model.h"
#include "layers/models/resnet.h"

// Models as the files of other programs hold them, made tensor by tensor for tests of the import.
namespace pal::testing {

/// One tensor of a published file.
struct Published {
  std::string name;  ///< "inn/module_list.1.act_norm"
  Tensor tensor;
  std::vector<int64_t> shape;
};
using PublishedTensors = std::vector<Published>;

/// The tensor of that name; a failure and null without one.
Published* find_tensor(PublishedTensors& tensors, const std::string& name);
/// The dense matrix of an index map.
Tensor one_hot(const Tensor& index);
/// A model as its published checkpoint would hold it.
PublishedTensors publish(const IbInn& model);
/// A residual network as torchvision names its tensors, behind a prefix.
PublishedTensors publish(const ResNet& model, const std::string& prefix);
/// A published flow in which "inn/" and the other tensors' names begin otherwise.
PublishedTensors moved(PublishedTensors tensors, const std::string& network,
                       const std::string& others);
PublishedTensors joined(PublishedTensors first, const PublishedTensors& second);

/// The bytes of a PyTorch file of the tensors, and of what is no tensor beside them.
std::string torch_file(const PublishedTensors& tensors);
/// What the import, which calls the file "f", makes of such bytes.
ImportedModel import_bytes(const std::string& text, const InputSpec& input = {},
                           const ImportChoice& choice = {});
/// Expects the import to refuse the tensors with a message that contains `message`.
void expect_refused(const PublishedTensors& tensors, const std::string& message);
void expect_same_tensors(const Checkpoint& got, const Checkpoint& wanted);

/// A tiny network that the published code could hold.
ModelConfig published_config();
/// A ResNet-50 with few channels.
ModelConfig tiny_resnet50();

}  // namespace pal::testing
