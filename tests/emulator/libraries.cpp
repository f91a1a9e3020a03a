// What stands in for cuDNN and cuBLASLt in the emulated build: the CPU's library, which works on
// device memory, here heap memory, either at once or when a recorded graph is launched.
#include "kernels/library/conv_check.h"
#include "kernels/library/gemm_check.h"
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
};

void refuse_f64(const char* op, const Tensor& x) {
  if (x.dtype() == DType::f64)
    fail(ErrorKind::usage, "{}: f64 streams are for the CPU backend", op);
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op) {
  check_gemm(a, b, c, op);
  refuse_f64("gemm", a);
  emulator::host_op([a = Place(a), b = Place(b), c = Place(c), op] {
    const DeviceScope scope{Device()};
    cpu::gemm(a.tensor(), b.tensor(), c.tensor(), op);
  });
}

void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                  WeightShadow&, const Tensor& y) {
  check_convolution("conv_forward", x, weight, bias, y, g);
  refuse_f64("conv_forward", x);
  emulator::host_op([x = Place(x), weight = Place(weight), bias = Place(bias), g, y = Place(y)] {
    const DeviceScope scope{Device()};
    WeightShadow fresh;  // weights change between launches of a graph
    cpu::conv_forward(x.tensor(), weight.tensor(), bias.tensor(), g, fresh, y.tensor());
  });
}

void conv_backward_data(const Tensor& grad_y, const Tensor& weight, const ConvGeometry& g,
                        WeightShadow&, const Tensor& grad_x) {
  check_convolution("conv_backward_data", grad_x, weight, {}, grad_y, g);
  refuse_f64("conv_backward_data", grad_x);
  emulator::host_op([grad_y = Place(grad_y), weight = Place(weight), g, grad_x = Place(grad_x)] {
    const DeviceScope scope{Device()};
    WeightShadow fresh;
    cpu::conv_backward_data(grad_y.tensor(), weight.tensor(), g, fresh, grad_x.tensor());
  });
}

void conv_backward_weight(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                          const Tensor& grad_weight, const Tensor& grad_bias) {
  check_convolution("conv_backward_weight", x, grad_weight, grad_bias, grad_y, g);
  refuse_f64("conv_backward_weight", x);
  emulator::host_op([x = Place(x), grad_y = Place(grad_y), g, grad_weight = Place(grad_weight),
                     grad_bias = Place(grad_bias)] {
    const DeviceScope scope{Device()};
    cpu::conv_backward_weight(x.tensor(), grad_y.tensor(), g, grad_weight.tensor(),
                              grad_bias.tensor());
  });
}

}  // namespace pal::cuda
