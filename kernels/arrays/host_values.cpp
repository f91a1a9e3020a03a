#include "kernels/arrays/host_values.h"

#include <algorithm>

#include "kernels/common/backend.h"

namespace pal {

std::vector<double> host_values(const Tensor& source) {
  const Tensor tensor = source.to(Device());
  std::vector<double> values(static_cast<size_t>(tensor.numel()));
  dispatch_floating("host_values", tensor.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* from = tensor.data<T>();
    for (int64_t row = 0; row < tensor.rows(); ++row)
      for (int64_t c = 0; c < tensor.channels(); ++c)
        values[static_cast<size_t>(row * tensor.channels() + c)] =
            static_cast<double>(static_cast<Compute<T>>(from[row * tensor.pitch() + c]));
  });
  return values;
}

Tensor tensor_of(std::span<const double> values, const Shape& shape, DType dtype) {
  expect(shape.numel() == static_cast<int64_t>(values.size()), "tensor_of: {} values for {}",
         values.size(), shape.str());
  const Device device = DeviceScope::current();
  const Tensor tensor = Tensor::empty(shape, dtype, TagScope::current(), Device());
  dispatch_real("tensor_of", dtype, [&](auto typed) {
    using T = decltype(typed);
    std::transform(values.begin(), values.end(), tensor.data<T>(),
                   [](double value) { return static_cast<T>(value); });
  });
  return tensor.to(device, TagScope::current());
}

}  // namespace pal
