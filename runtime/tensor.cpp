#include "runtime/tensor.h"

#include <algorithm>
#include <cstring>

#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

template <typename From, typename To>
void convert(const Tensor& source, const Tensor& target) {
  const From* from = source.data<From>();
  To* to = target.data<To>();
  const int64_t channels = source.channels();
  parallel_for(source.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t c = 0; c < channels; ++c) {
        const From value = from[row * source.pitch() + c];
        if constexpr (std::is_same_v<To, bfloat16>)
          to[row * target.pitch() + c] = bfloat16(static_cast<float>(value));
        else
          to[row * target.pitch() + c] = static_cast<To>(
              static_cast<std::conditional_t<std::is_same_v<From, bfloat16>, float, From>>(value));
      }
  });
}

template <typename From>
void convert_from(const Tensor& source, const Tensor& target) {
  switch (target.dtype()) {
    case DType::f32:
      return convert<From, float>(source, target);
    case DType::f64:
      return convert<From, double>(source, target);
    case DType::bf16:
      return convert<From, bfloat16>(source, target);
    default:
      fail(ErrorKind::usage, "Tensor::to: expected f32, f64 or bf16, got {}",
           name_of(target.dtype()));
  }
}

}  // namespace

struct Tensor::Storage {
  Storage(int64_t bytes, Tag tag, Device where)
      : device(where), pointer(Allocator::of(where).allocate(bytes, tag)), owned(true) {}
  Storage(void* memory, Device where) : device(where), pointer(memory), owned(false) {}
  ~Storage() {
    if (owned) Allocator::of(device).release(pointer);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  Device device;
  void* pointer;
  bool owned;
};

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  return empty(shape, dtype, TagScope::current());
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Tag tag) {
  return empty(shape, dtype, tag, DeviceScope::current());
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Tag tag, Device device) {
  Tensor tensor;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(shape.numel(), size_of(dtype), &bytes))
    fail(ErrorKind::usage, "Tensor: the bytes of {} of {} overflow", shape.str(), name_of(dtype));
  tensor.storage_ = std::make_shared<Storage>(bytes, tag, device);
  tensor.shape_ = shape;
  tensor.pitch_ = shape.last();
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  return zeros(shape, dtype, TagScope::current());
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Tag tag) {
  return zeros(shape, dtype, tag, DeviceScope::current());
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Tag tag, Device device) {
  Tensor tensor = empty(shape, dtype, tag, device);
  tensor.zero();
  return tensor;
}

Tensor Tensor::borrowed(void* memory, const Shape& shape, DType dtype, Device device) {
  Tensor tensor;
  tensor.storage_ = std::make_shared<Storage>(memory, device);
  tensor.shape_ = shape;
  tensor.pitch_ = shape.last();
  tensor.dtype_ = dtype;
  return tensor;
}

Device Tensor::device() const {
  expect(defined(), "Tensor: expected a defined tensor");
  return storage_->device;
}

void* Tensor::raw() const {
  expect(defined(), "Tensor: expected a defined tensor");
  return static_cast<char*>(storage_->pointer) + offset_ * size_of(dtype_);
}

void Tensor::check_dtype(DType wanted) const {
  expect(defined() && dtype_ == wanted, "Tensor: expected {}, got {}", name_of(wanted),
         defined() ? name_of(dtype_) : "nothing");
}

Tensor Tensor::slice_channels(int64_t begin, int64_t count) const {
  expect(begin >= 0 && count >= 0 && begin + count <= channels(),
         "slice_channels: expected a range in {} channels, got {} + {}", channels(), begin, count);
  Tensor view = *this;
  view.offset_ += begin;
  view.shape_ = shape_.with_last(count);
  return view;
}

Tensor Tensor::slice_batch(int64_t begin, int64_t count) const {
  expect(rank() >= 1 && begin >= 0 && count >= 0 && begin + count <= size(0),
         "slice_batch: expected a range in {}, got {} + {}", shape_.str(), begin, count);
  Tensor view = *this;
  if (rank() == 1) {
    view.offset_ += begin;
    view.shape_ = {count};
    view.pitch_ = count;
    return view;
  }
  view.offset_ += begin * (rows() / size(0)) * pitch_;
  if (rank() == 2) view.shape_ = {count, size(1)};
  if (rank() == 3) view.shape_ = {count, size(1), size(2)};
  if (rank() == 4) view.shape_ = {count, size(1), size(2), size(3)};
  return view;
}

Tensor Tensor::reshape(const Shape& shape) const {
  expect(is_dense(), "reshape: expected a dense tensor");
  expect(shape.numel() == numel(), "reshape: {} does not hold the elements of {}", shape.str(),
         shape_.str());
  return view_at(0, shape);
}

Tensor Tensor::view_at(int64_t offset, const Shape& shape) const {
  expect(is_dense() && offset >= 0 && offset + shape.numel() <= numel(),
         "view_at: {} at {} does not fit into {}", shape.str(), offset, shape_.str());
  Tensor view = *this;
  view.offset_ += offset;
  view.shape_ = shape;
  view.pitch_ = shape.last();
  return view;
}

Tensor Tensor::clone() const { return clone(TagScope::current()); }

Tensor Tensor::clone(Tag tag) const {
  Tensor copy = empty(shape_, dtype_, tag, device());
  copy.copy_from(*this);
  return copy;
}

void Tensor::copy_from(const Tensor& source) const {
  expect(source.shape() == shape_ && source.dtype() == dtype_,
         "copy_from: expected {} of {}, got {} of {}", shape_.str(), name_of(dtype_),
         source.shape().str(), name_of(source.dtype()));
  if (device().meta || source.device().meta) return;
  const int64_t item = size_of(dtype_);
  const auto* from = static_cast<const char*>(source.raw());
  auto* to = static_cast<char*>(raw());
  const bool one_piece = is_dense() && source.is_dense();
  const int64_t row_bytes = channels() * item;
  if (device().is_cuda() || source.device().is_cuda()) {
    const int64_t pieces = one_piece ? 1 : rows();
    const int64_t piece_bytes = one_piece ? bytes() : row_bytes;
    const auto copy = device().is_cpu()          ? cuda::copy_to_host
                      : source.device().is_cpu() ? cuda::copy_to_device
                                                 : cuda::copy_on_device;
    return copy(to, pitch_ * item, from, source.pitch_ * item, piece_bytes, pieces);
  }
  parallel_for(rows(), row_grain(channels()), [&](int64_t begin, int64_t end) {
    if (one_piece) {
      std::memcpy(to + begin * row_bytes, from + begin * row_bytes,
                  static_cast<size_t>((end - begin) * row_bytes));
      return;
    }
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(to + row * pitch_ * item, from + row * source.pitch_ * item,
                  static_cast<size_t>(row_bytes));
  });
}

Tensor Tensor::to(DType dtype) const {
  expect(device().is_cpu(), "Tensor::to: expected a tensor on the CPU, got one on {}",
         device().str());
  Tensor target = empty(shape_, dtype, TagScope::current(), Device());
  switch (dtype_) {
    case DType::f32:
      convert_from<float>(*this, target);
      break;
    case DType::f64:
      convert_from<double>(*this, target);
      break;
    case DType::bf16:
      convert_from<bfloat16>(*this, target);
      break;
    default:
      fail(ErrorKind::usage, "Tensor::to: expected f32, f64 or bf16, got {}", name_of(dtype_));
  }
  return target;
}

Tensor Tensor::to(Device device, Tag tag) const {
  if (!defined() || this->device() == device) return *this;
  const Tensor target = empty(shape_, dtype_, tag, device);
  target.copy_from(*this);
  return target;
}

double Tensor::item(int64_t i) const {
  const double* values = data<double>();
  expect(is_dense() && i >= 0 && i < numel(), "item: no element {} in {}", i, shape_.str());
  double value = 0.0;
  if (device().meta) return value;
  if (device().is_cpu()) return values[i];
  cuda::copy_to_host(&value, sizeof value, values + i, sizeof value, sizeof value, 1);
  return value;
}

void Tensor::fill(double value) const {
  if (device().meta) return;
  const auto write = [&](auto typed) {
    using T = decltype(typed);
    T* to = data<T>();
    if (device().is_cuda())
      return cuda::fill(to, pitch_, is_dense() ? numel() : channels(), is_dense() ? 1 : rows(),
                        &typed, sizeof typed);
    if (is_dense())
      return parallel_for(numel(), row_grain(1), [&](int64_t begin, int64_t end) {
        std::fill(to + begin, to + end, typed);
      });
    parallel_for(rows(), row_grain(channels()), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t c = 0; c < channels(); ++c) to[row * pitch_ + c] = typed;
    });
  };
  switch (dtype_) {
    case DType::f32:
      return write(static_cast<float>(value));
    case DType::f64:
      return write(value);
    case DType::bf16:
      return write(bfloat16(static_cast<float>(value)));
    case DType::i32:
      return write(static_cast<int32_t>(value));
    case DType::u8:
      return write(static_cast<uint8_t>(value));
  }
}

}  // namespace pal
