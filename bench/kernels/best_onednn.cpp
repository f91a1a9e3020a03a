#include "bench/kernels/best_onednn.h"

#include <cstring>

#include "kernels/library/onednn.h"

namespace pal::bench {
namespace {

using onednn::Memory;

/// Memory in a layout of the library's choice, all bits zero but for one small number per element:
/// denormal numbers would slow the arithmetic down.
Memory filled(const Memory::desc& desc) {
  Memory memory(desc, onednn::engine());
  const size_t bytes = desc.get_size();
  auto* raw = static_cast<char*>(memory.get_data_handle());
  const bool is_bf16 = onednn::data_type_of(desc) == Memory::data_type::bf16;
  const float value = 0.5F;
  const bfloat16 half(value);
  for (size_t at = 0; at + 4 <= bytes; at += is_bf16 ? 2 : 4) {
    if (is_bf16)
      std::memcpy(raw + at, &half, sizeof half);
    else
      std::memcpy(raw + at, &value, sizeof value);
  }
  return memory;
}

Memory::desc any(const Memory::dims& dims, DType dtype) {
  return {dims, onednn::data_type(dtype), Memory::format_tag::any};
}

Work executing(const dnnl::primitive& primitive, std::unordered_map<int, Memory> arguments) {
  return [primitive, arguments = std::move(arguments)] {
    primitive.execute(onednn::stream(), arguments);
    onednn::stream().wait();
  };
}

}  // namespace

Work best_convolution(const ConvCase& what, ConvDirection direction) {
  const ConvGeometry& g = what.geometry;
  const int64_t size_out = g.out_size(what.size);
  const Memory::dims weight_dims = {what.out, what.in, g.kernel, g.kernel};
  const int64_t end = (size_out - 1) * g.stride + g.kernel - what.size - g.padding;
  onednn::Convolution convolution = {
      .x = any({what.batch, what.in, what.size, what.size}, what.dtype),
      .weight = any(weight_dims, what.dtype),
      .bias = {},
      .y = any({what.batch, what.out, size_out, size_out}, what.dtype),
      .strides = {g.stride, g.stride},
      .padding = {g.padding, g.padding},
      .padding_right = {end, end}};
  const onednn::ForwardDescriptor forward = onednn::describe_forward(convolution, {});
  if (direction == ConvDirection::forward)
    return executing(dnnl::convolution_forward(forward),
                     {{DNNL_ARG_SRC, filled(forward.src_desc())},
                      {DNNL_ARG_WEIGHTS, filled(forward.weights_desc())},
                      {DNNL_ARG_DST, filled(forward.dst_desc())}});
  if (direction == ConvDirection::backward_data) {
    const auto backward = onednn::describe_backward_data(convolution, {}, forward);
    return executing(dnnl::convolution_backward_data(backward),
                     {{DNNL_ARG_DIFF_DST, filled(backward.diff_dst_desc())},
                      {DNNL_ARG_WEIGHTS, filled(backward.weights_desc())},
                      {DNNL_ARG_DIFF_SRC, filled(backward.diff_src_desc())}});
  }
  convolution.weight = any(weight_dims, DType::f32);
  const auto backward = onednn::describe_backward_weights(convolution, {}, forward);
  return executing(dnnl::convolution_backward_weights(backward),
                   {{DNNL_ARG_SRC, filled(backward.src_desc())},
                    {DNNL_ARG_DIFF_DST, filled(backward.diff_dst_desc())},
                    {DNNL_ARG_DIFF_WEIGHTS, filled(backward.diff_weights_desc())}});
}

Work best_gemm(int64_t m, int64_t n, int64_t k, DType dtype) {
  const auto descriptor = onednn::describe_product(any({m, k}, dtype), any({k, n}, dtype), {},
                                                   any({m, n}, DType::f32), {});
  return executing(dnnl::matmul(descriptor), {{DNNL_ARG_SRC, filled(descriptor.src_desc())},
                                              {DNNL_ARG_WEIGHTS, filled(descriptor.weights_desc())},
                                              {DNNL_ARG_DST, filled(descriptor.dst_desc())}});
}

}  // namespace pal::bench
