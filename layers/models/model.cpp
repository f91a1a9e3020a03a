#include "layers/models/model.h"

#include "kernels/arrays/host_values.h"
#include "kernels/arrays/reduce.h"
#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
#include "runtime/communicator/communicator.h"

namespace pal {

void Model::materialise(std::optional<uint64_t> seed, DType dtype) {
  store_.materialise(state_.parameters, dtype, seed);
  initialise(seed.value_or(0), dtype);
  store_.gather_statistics(state_.buffers);
}

void Model::materialise_meta(Device device) {
  const DeviceScope scope(device.as_meta());
  materialise(0);
}

void Model::to(Device device) {
  if (this->device() == device) return;
  store_.to(device);
  for (const Buffer& b : state_.buffers)
    if (!b.moves) *b.tensor = b.tensor->to(device, Tag::parameters);
  refresh();
  if (device.is_cuda()) prepare();
}

void Model::refresh() {
  derive();
  store_.mark_changed();
}

void Model::prepare() {
  if (config_.compute == DType::bf16) mirror_.refresh(store_);
}

ModelScores Model::scores_of(const Tensor& x) {
  const DeviceScope device(x.device());
  // No target is looked at: the losses of classes are left unread.
  const Tensor targets = Tensor::zeros({x.size(0), config_.classes}, dtype(), Tag::workspace);
  const LossResult said = evaluate(x, targets, {});
  ModelScores scores = {config_.classes, host_values(said.scores), {}};
  if (has_density()) scores.nll_joint = host_values(said.nll_joint);
  return scores;
}

void Model::synchronise_norms(Communicator* ranks) {
  norm_ranks_ = ranks != nullptr && ranks->size() > 1 ? ranks : nullptr;
  synchronise_subnets(norm_ranks_);
}

void Model::check_usable(const std::string& when) {
  for (const Parameter* p : state_.parameters)
    if (!PAL_BACKEND(p->value, all_finite(p->value)))
      fail(ErrorKind::numerics, "{}: parameter {} is not finite", when, p->name);
  for (const Buffer& b : state_.buffers)
    if (b.tensor->dtype() != DType::i32 && !PAL_BACKEND(*b.tensor, all_finite(*b.tensor)))
      fail(ErrorKind::numerics, "{}: {} is not finite", when, b.name);
}

std::unique_ptr<Model> build_model(const ModelConfig& config) {
  if (config.family == ModelFamily::resnet) return std::make_unique<ResNet>(config);
  return std::make_unique<IbInn>(config);
}

}  // namespace pal
