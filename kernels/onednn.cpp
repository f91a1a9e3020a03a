#include "kernels/onednn.h"

#include <fmt/core.h>

#include "kernels/planned.h"
#include "runtime/log.h"

namespace pal {
namespace {

struct Notes {
  std::mutex mutex;
  std::vector<std::string> lines;
};
Notes& notes() {
  static Notes instance;
  return instance;
}

}  // namespace

namespace onednn {

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  static dnnl::stream instance(engine());
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

void note_implementation(const std::string& what, const char* implementation) {
  std::string line = fmt::format("{}: {}", what, implementation);
  log_debug("{}", line);
  const std::lock_guard lock(notes().mutex);
  notes().lines.push_back(std::move(line));
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

void execute(const dnnl::primitive& primitive, const Memory::desc& scratchpad,
             std::unordered_map<int, Memory> arguments) {
  Tensor scratch;
  const auto bytes = static_cast<int64_t>(scratchpad.get_size());
  if (bytes > 0) {
    scratch = Tensor::empty({bytes}, DType::u8, Tag::workspace);
    arguments.emplace(DNNL_ARG_SCRATCHPAD, Memory(scratchpad, engine(), scratch.raw()));
  }
  primitive.execute(stream(), arguments);
  stream().wait();
}

}  // namespace onednn

std::vector<std::string> planned_implementations() {
  const std::lock_guard lock(notes().mutex);
  return notes().lines;
}

std::string cpu_library_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

bool cpu_has_bf16() { return __builtin_cpu_supports("avx512bw") != 0; }
bool cpu_has_native_bf16() { return __builtin_cpu_supports("avx512bf16") != 0; }

}  // namespace pal
