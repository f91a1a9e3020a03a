#include "kernels/library/onednn.h"

#include <string_view>

namespace pal::onednn {
namespace {

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  static thread_local dnnl::stream instance(engine());
  return instance;
}

Memory::data_type data_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return Memory::data_type::f32;
    case DType::bf16:
      return Memory::data_type::bf16;
    default:
      fail(ErrorKind::usage, "oneDNN: expected f32 or bf16, got {}", name_of(dtype));
  }
}

Memory::desc strided(const Memory::dims& dims, DType dtype, const Memory::dims& strides) {
  return {dims, data_type(dtype), strides};
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

#if DNNL_VERSION_MAJOR >= 3

ForwardDescriptor describe_forward(const Convolution& c, const dnnl::primitive_attr& attr) {
  return {engine(),  dnnl::prop_kind::forward_training,
          kDirect,   c.x,
          c.weight,  c.bias,
          c.y,       c.strides,
          c.padding, c.padding_right,
          attr};
}

dnnl::convolution_backward_data::primitive_desc describe_backward_data(
    const Convolution& c, const dnnl::primitive_attr& attr, const ForwardDescriptor& forward) {
  return {engine(),  kDirect,         c.x,     c.weight, c.y, c.strides,
          c.padding, c.padding_right, forward, attr};
}

dnnl::convolution_backward_weights::primitive_desc describe_backward_weights(
    const Convolution& c, const dnnl::primitive_attr& attr, const ForwardDescriptor& forward) {
  return {engine(),  kDirect,         c.x,     c.weight, c.bias, c.y, c.strides,
          c.padding, c.padding_right, forward, attr};
}

dnnl::matmul::primitive_desc describe_product(const Memory::desc& a, const Memory::desc& b,
                                              const Memory::desc& bias, const Memory::desc& c,
                                              const dnnl::primitive_attr& attr) {
  return {engine(), a, b, bias, c, attr};
}

Memory::data_type data_type_of(const Memory::desc& desc) { return desc.get_data_type(); }

Memory::desc in_any_layout(const Memory::desc& desc) {
  return {desc.get_dims(), data_type_of(desc), Memory::format_tag::any};
}

#else

ForwardDescriptor describe_forward(const Convolution& c, const dnnl::primitive_attr& attr) {
  return {dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, kDirect, c.x, c.weight,
                                          c.bias, c.y, c.strides, c.padding, c.padding_right),
          attr, engine()};
}

dnnl::convolution_backward_data::primitive_desc describe_backward_data(
    const Convolution& c, const dnnl::primitive_attr& attr, const ForwardDescriptor& forward) {
  return {dnnl::convolution_backward_data::desc(kDirect, c.x, c.weight, c.y, c.strides, c.padding,
                                                c.padding_right),
          attr, engine(), forward};
}

dnnl::convolution_backward_weights::primitive_desc describe_backward_weights(
    const Convolution& c, const dnnl::primitive_attr& attr, const ForwardDescriptor& forward) {
  // Looking for another implementation reads the description again.
  const dnnl::convolution_backward_weights::desc description(kDirect, c.x, c.weight, c.bias, c.y,
                                                             c.strides, c.padding, c.padding_right);
  dnnl::convolution_backward_weights::primitive_desc descriptor(description, attr, engine(),
                                                                forward);
  // oneDNN 2.6 writes beyond its memory there if channels are no multiple of 8.
  while (std::string_view(descriptor.impl_info_str()) == "jit_1x1:avx2" && descriptor.next_impl()) {
  }
  return descriptor;
}

dnnl::matmul::primitive_desc describe_product(const Memory::desc& a, const Memory::desc& b,
                                              const Memory::desc& bias, const Memory::desc& c,
                                              const dnnl::primitive_attr& attr) {
  return {dnnl::matmul::desc(a, b, bias, c), attr, engine()};
}

Memory::data_type data_type_of(const Memory::desc& desc) { return desc.data_type(); }

Memory::desc in_any_layout(const Memory::desc& desc) {
  return {desc.dims(), data_type_of(desc), Memory::format_tag::any};
}

#endif

void execute(const dnnl::primitive& primitive, const std::unordered_map<int, Memory>& arguments) {
  primitive.execute(stream(), arguments);
  stream().wait();
}

void execute(const dnnl::primitive& primitive, const Memory::desc& scratchpad,
             std::unordered_map<int, Memory> arguments) {
  Tensor scratch;
  const auto bytes = static_cast<int64_t>(scratchpad.get_size());
  if (bytes > 0) {
    scratch = Tensor::empty({bytes}, DType::u8, Tag::workspace, Device());
    arguments.emplace(DNNL_ARG_SCRATCHPAD, Memory(scratchpad, engine(), scratch.raw()));
  }
  execute(primitive, arguments);
}

}  // namespace pal::onednn
