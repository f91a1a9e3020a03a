#include "kernels/library/onednn.h"

namespace pal::onednn {

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
