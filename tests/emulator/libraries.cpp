// What stands in for cuDNN and cuBLASLt in the emulated build: the CPU's library, which works on
// device memory, here heap memory, either at once or when a recorded graph is launched. Where the
// processor has no bf16, operands in bf16 are computed in f32 and results rounded.
#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/reduce.h"
#include "kernels/library/conv_check.h"
#include "kernels/library/gemm_check.h"
#include "kernels/library/platform.h"
#include "kernels/library/weight_copies.h"
#include "tests/emulator/cuda_emulator.h"

namespace pal::cuda {
namespace {

/// A tensor's place, which a recorded graph may keep: it owns nothing.
struct Place {
  void* memory = nullptr;
  Shape shape;
  int64_t pitch = 0;
  bool dense = true;
  DType dtype = DType::f32;

  explicit Place(const Tensor& t)
      : shape(t.shape()), pitch(t.pitch()), dense(t.is_dense()), dtype(t.dtype()) {
    if (t.defined()) memory = t.raw();
  }
  /// The tensor there, as one of the CPU's; as a matrix if it is not dense.
  Tensor tensor() const {
    if (memory == nullptr) return {};
    if (dense) return Tensor::borrowed(memory, shape, dtype, Device());
    return Tensor::borrowed(memory, {shape.rows(), pitch}, dtype, Device())
        .slice_channels(0, shape.last());
  }
  /// The tensor there as a parameter of the CPU's library, which rounds to bf16 itself.
  Tensor wide() const {
    if (memory == nullptr || dtype != DType::bf16) return tensor();
    const Tensor f32 = Tensor::empty(shape, DType::f32, Tag::workspace, Device());
    cpu::copy_convert(tensor(), f32);
    return f32;
  }
};

void refuse_f64(const char* op, const Tensor& x) {
  if (x.dtype() == DType::f64)
    fail(ErrorKind::usage, "{}: f64 streams are for the CPU backend", op);
}

/// A tensor for the CPU's library to read: in f32 if it is in bf16, which the processor lacks.
Tensor readable(const Tensor& t) {
  return t.defined() && t.dtype() == DType::bf16 && !cpu_has_bf16() ? t.to(DType::f32) : t;
}

/// Calls body(t) with a tensor that the library can read and write in place of a result.
template <typename Body>
void write_result(const Tensor& result, Body&& body) {
  const Tensor t = readable(result);
  body(t);
  if (t.dtype() != result.dtype()) cpu::copy_convert(t, result);
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op) {
  check_gemm(a, b, c, op);
  refuse_f64("gemm", a);
  emulator::host_op([a = Place(a), b = Place(b), c = Place(c), op] {
    const DeviceScope scope{Device()};
    write_result(c.tensor(), [&](const Tensor& to) {
      cpu::gemm(readable(a.tensor()), readable(b.tensor()), to, op);
    });
  });
}

void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                  WeightShadow& shadow, const Tensor& y) {
  check_convolution("conv_forward", x, weight, bias, y, g);
  refuse_f64("conv_forward", x);
  const Tensor copy = library_copy(weight, shadow, x.dtype());
  emulator::host_op([x = Place(x), weight = Place(copy), bias = Place(bias), g, y = Place(y)] {
    const DeviceScope scope{Device()};
    WeightShadow fresh;  // weights change between launches of a graph
    write_result(y.tensor(), [&](const Tensor& to) {
      cpu::conv_forward(readable(x.tensor()), weight.wide(), bias.wide(), g, fresh, to);
    });
  });
}

void conv_backward_data(const Tensor& grad_y, const Tensor& weight, const ConvGeometry& g,
                        WeightShadow& shadow, const Tensor& grad_x) {
  check_convolution("conv_backward_data", grad_x, weight, {}, grad_y, g);
  refuse_f64("conv_backward_data", grad_x);
  const Tensor copy = library_copy(weight, shadow, grad_x.dtype());
  emulator::host_op([grad_y = Place(grad_y), weight = Place(copy), g, grad_x = Place(grad_x)] {
    const DeviceScope scope{Device()};
    WeightShadow fresh;
    write_result(grad_x.tensor(), [&](const Tensor& to) {
      cpu::conv_backward_data(readable(grad_y.tensor()), weight.wide(), g, fresh, to);
    });
  });
}

void conv_backward_weight(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                          const Tensor& grad_weight, const Tensor& grad_bias) {
  check_convolution("conv_backward_weight", x, grad_weight, grad_bias, grad_y, g);
  refuse_f64("conv_backward_weight", x);
  if (grad_bias.defined()) channel_sums(grad_y, grad_bias);
  emulator::host_op([x = Place(x), grad_y = Place(grad_y), g, grad_weight = Place(grad_weight)] {
    const DeviceScope scope{Device()};
    cpu::conv_backward_weight(readable(x.tensor()), readable(grad_y.tensor()), g,
                              grad_weight.tensor(), {});
  });
}

}  // namespace pal::cuda
