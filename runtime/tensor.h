#pragma once
#include <cstdint>
#include <memory>

#include "runtime/allocator.h"
#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/shape.h"

namespace pal {

/// A typed array of up to four extents in shared storage, channels last ([batch, height, width,
/// channels]). Rows (all positions but the last extent) lie `pitch()` elements apart, so a range of
/// channels of one tensor is a tensor too, over the same memory. Copying a Tensor shares storage.
class Tensor {
 public:
  Tensor() = default;

  /// Uninitialised memory with the tag of the innermost TagScope, or the given one, on the device
  /// of the innermost DeviceScope, or the given one.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  static Tensor empty(const Shape& shape, DType dtype, Tag tag);
  static Tensor empty(const Shape& shape, DType dtype, Tag tag, Device device);
  /// New memory as of empty(), filled with zeros.
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor zeros(const Shape& shape, DType dtype, Tag tag);
  static Tensor zeros(const Shape& shape, DType dtype, Tag tag, Device device);
  /// Dense view of memory that somebody else owns and that outlives the tensor.
  static Tensor borrowed(void* memory, const Shape& shape, DType dtype, Device device);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  int64_t numel() const { return shape_.numel(); }
  /// The last extent.
  int64_t channels() const { return shape_.last(); }
  /// Product of all extents but the last: pixels of a batch of images, rows of a matrix.
  int64_t rows() const { return shape_.rows(); }
  /// Elements from one row to the next.
  int64_t pitch() const { return pitch_; }
  bool is_dense() const { return pitch_ == channels() || rows() <= 1; }
  DType dtype() const { return dtype_; }
  /// Where the elements are. Throws usage for an undefined tensor.
  Device device() const;
  /// Bytes of the elements, without gaps.
  int64_t bytes() const { return numel() * size_of(dtype_); }

  /// Pointer to the first element; throws usage for an undefined tensor.
  void* raw() const;
  /// Typed pointer to the first element; throws usage if T is not the dtype.
  template <typename T>
  T* data() const {
    check_dtype(dtype_of<T>);
    return static_cast<T*>(raw());
  }

  /// View of `count` channels from `begin` on: same memory, same pitch.
  Tensor slice_channels(int64_t begin, int64_t count) const;
  /// View of `count` entries of the first extent from `begin` on.
  Tensor slice_batch(int64_t begin, int64_t count) const;
  /// View with another shape of as many elements; the tensor must be dense.
  Tensor reshape(const Shape& shape) const;
  /// View of `shape.numel()` elements from `offset` on in a dense tensor.
  Tensor view_at(int64_t offset, const Shape& shape) const;

  /// Dense copy in new memory on the same device, with the tag of the TagScope or the given one.
  Tensor clone() const;
  Tensor clone(Tag tag) const;
  /// This tensor if it is dense, else a dense copy.
  Tensor dense() const { return is_dense() ? *this : clone(); }
  /// Overwrites the values with those of a tensor of equal shape and dtype, from any device.
  void copy_from(const Tensor& source) const;
  /// New tensor on the CPU of another floating dtype (f32, f64, bf16) with the rounded values.
  Tensor to(DType dtype) const;
  /// This tensor if it is there already, else a dense copy on that device with the given tag.
  Tensor to(Device device, Tag tag = Tag::workspace) const;
  /// Element i of a dense f64 tensor; waits for the device. 0 on a meta device.
  double item(int64_t i = 0) const;
  /// Overwrites all elements with `value`, rounded to the dtype.
  void fill(double value) const;
  void zero() const { fill(0.0); }

 private:
  struct Storage;
  void check_dtype(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // in elements
  int64_t pitch_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
};

}  // namespace pal
