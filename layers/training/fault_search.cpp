#include "layers/training/fault_search.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/arrays/reduce.h"
#include "layers/models/ib_inn.h"

namespace pal {
namespace {

bool finite(const Tensor& tensor) {
  return tensor.numel() == 0 || PAL_BACKEND(tensor, all_finite(tensor));
}

std::optional<Fault> fault_of_input(const Model& model, const Tensor& images) {
  if (!finite(images)) return Fault{Fault::Place::images, "the images are not finite"};
  const auto fault = [](const std::string& what) {
    return Fault{Fault::Place::weights, fmt::format("{} is not finite", what)};
  };
  for (const Parameter* p : model.state().parameters)
    if (!finite(p->value)) return fault("parameter " + p->name);
  for (const Buffer& b : model.state().buffers)
    if (b.tensor->dtype() != DType::i32 && !finite(*b.tensor)) return fault(b.name);
  return std::nullopt;
}

/// The first running statistic that a forward pass broke.
std::optional<Fault> fault_of_statistics(const Model& model, const std::string& prefix) {
  for (const Buffer& b : model.parameters().statistics())
    if (b.name.starts_with(prefix) && !finite(*b.tensor))
      return Fault{Fault::Place::activation, fmt::format("{} is not finite", b.name)};
  return std::nullopt;
}

std::optional<Fault> fault_of_blocks(IbInn& flow, const Tensor& images) {
  const NoGradGuard no_grad;
  const DeviceScope device(images.device());
  const Tensor log_det = Tensor::zeros({images.size(0)}, DType::f64, Tag::workspace);
  Tensor stream = images;
  for (int i = 0; i < flow.chain().size(); ++i) {
    InvertibleBlock& block = flow.chain().block(i);
    const std::string& name = flow.chain().name(i);
    stream = block.forward(stream, log_det, Phase::train, nullptr);
    if (const auto fault = fault_of_statistics(flow, name + ".")) return fault;
    const auto fault = [&](const char* what) {
      return Fault{Fault::Place::activation,
                   fmt::format("the {} of {} ({}) is not finite", what, name, block.kind())};
    };
    if (!finite(stream)) return fault("output");
    if (!finite(log_det)) return fault("log-determinant");
  }
  return std::nullopt;
}

/// Backward passes break gradients from the last parameter to the first.
std::optional<Fault> fault_of_gradients(const Model& model) {
  const auto& parameters = model.state().parameters;
  const auto found = std::find_if(parameters.rbegin(), parameters.rend(),
                                  [](const Parameter* p) { return !finite(p->grad); });
  if (found != parameters.rend())
    return Fault{Fault::Place::gradient,
                 fmt::format("the gradient of {} is not finite", (*found)->name)};
  return std::nullopt;
}

Fault first_fault(Model& model, const Tensor& images, const Tensor& targets, const LossSpec& loss,
                  bool head_only) {
  if (const auto fault = fault_of_input(model, images)) return *fault;
  auto* const flow = dynamic_cast<IbInn*>(&model);
  if (flow != nullptr && !head_only)
    if (const auto fault = fault_of_blocks(*flow, images)) return *fault;
  model.parameters().zero_grad();
  const LossResult result = head_only ? model.forward_backward_head(images, targets, loss)
                                      : model.forward_backward(images, targets, loss);
  if (const auto fault = fault_of_statistics(model, "")) return *fault;
  if (!std::isfinite(result.loss()))
    return {Fault::Place::loss, fmt::format("the loss is {} (L_X {}, L_Y {})", result.loss(),
                                            result.summary.item(1), result.summary.item(2))};
  if (const auto fault = fault_of_gradients(model)) return *fault;
  return {Fault::Place::nowhere,
          "loss or gradient were not finite, but a second look at the step finds all finite"};
}

}  // namespace

Fault find_fault(Model& model, const Tensor& images, const Tensor& targets, const LossSpec& loss,
                 bool head_only) {
  const Tensor& statistics = model.parameters().all_statistics();
  const Tensor kept = statistics.clone();
  const Fault fault = first_fault(model, images, targets, loss, head_only);
  statistics.copy_from(kept);
  return fault;
}

}  // namespace pal
