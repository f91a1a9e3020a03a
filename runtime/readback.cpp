#include "runtime/readback.h"

#include <algorithm>

#include "runtime/cuda.h"
#include "runtime/error.h"

namespace pal {

/// Where one copy arrives: page-locked memory if it comes from a GPU, so that the copy runs by
/// itself.
struct Readback::Slot {
  Slot(int64_t count, Device where) : device(where) {
    if (device.is_cpu())
      values.resize(static_cast<size_t>(count));
    else
      pinned =
          static_cast<double*>(cuda::allocate_pinned(count * static_cast<int64_t>(sizeof(double))));
  }
  ~Slot() { cuda::release_pinned(pinned); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  double* data() { return device.is_cpu() ? values.data() : pinned; }

  Device device;
  std::vector<double> values;
  double* pinned = nullptr;
  cuda::Event arrived;
};

Readback::Readback(int64_t count, Device device) : count_(count), device_(device) {
  for (int i = 0; i < kDepth; ++i) slots_.push_back(std::make_unique<Slot>(count, device));
}
Readback::~Readback() = default;

void Readback::start(const Tensor& source) {
  expect(source.dtype() == DType::f64 && source.numel() == count_ && source.is_dense() &&
             source.device() == device_,
         "Readback: expected {} dense f64 values on {}", count_, device_.str());
  expect(pending() < kDepth, "Readback: {} copies are pending already", kDepth);
  Slot& slot = *slots_[static_cast<size_t>(started_++ % kDepth)];
  const int64_t bytes = source.bytes();
  if (device_.is_cpu()) {
    std::copy_n(source.data<double>(), count_, slot.data());
    return;
  }
  cuda::copy_to_pinned(slot.data(), source.raw(), bytes);
  slot.arrived.record();
}

std::vector<double> Readback::take(const std::function<void()>& meanwhile) {
  expect(pending() > 0, "Readback: no copy is pending");
  Slot& slot = *slots_[static_cast<size_t>(taken_ % kDepth)];
  if (meanwhile)
    slot.arrived.wait(meanwhile);
  else
    slot.arrived.wait();
  ++taken_;
  return {slot.data(), slot.data() + count_};
}

}  // namespace pal
