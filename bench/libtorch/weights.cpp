#include "bench/libtorch/weights.h"

#include <stdexcept>

namespace rival {
namespace {

const std::string kPrefix = "model.";

}  // namespace

Weights::Weights(const TensorsFile& file, const Settings& settings)
    : file_(file), settings_(settings) {}

bool Weights::has(const std::string& name) const { return file_.tensors.contains(kPrefix + name); }

at::Tensor Weights::buffer(const std::string& name) {
  const auto found = file_.tensors.find(kPrefix + name);
  if (found == file_.tensors.end()) throw std::runtime_error(kPrefix + name + " is missing");
  used_.insert(found->first);
  // A copy: training must not change what the file said, should it be asked again.
  const at::Tensor copy = found->second.to(settings_.device, found->second.scalar_type(),
                                           /*non_blocking=*/false, /*copy=*/true);
  return copy.dim() == 4 ? copy.contiguous(settings_.memory()) : copy;
}

at::Tensor Weights::parameter(const std::string& name, Group group) {
  const at::Tensor value = buffer(name).set_requires_grad(true);
  (group == Group::network ? network_ : means_).push_back(value);
  return value;
}

void Weights::check_all_used() const {
  for (const auto& [name, tensor] : file_.tensors)
    if (name.starts_with(kPrefix) && !used_.contains(name))
      throw std::runtime_error(name + " is no tensor of this network");
}

}  // namespace rival
