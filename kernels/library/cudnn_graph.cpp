#include "kernels/library/cudnn_graph.cuh"

#include "runtime/launch.cuh"

#if CUDNN_VERSION < 90200
#error "Palindrome needs cuDNN 9.2 or newer"
#endif

namespace pal::cudnn {

std::string describe(cudnnStatus_t status) {
  char text[1024] = "";
  cudnnGetLastErrorString(text, sizeof text);
  // One line: the log and the programs' errors are lines.
  std::string line = cudnnGetErrorString(status);
  if (*text != '\0') line += ": ";
  for (const char* at = text; *at != '\0'; ++at) line += *at == '\n' ? ' ' : *at;
  return line;
}

void check(cudnnStatus_t status, const char* call, int detail, Where where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const bool memory = status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ||
                      status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                      status == CUDNN_STATUS_NOT_INITIALIZED;
  fail(memory ? ErrorKind::environment : ErrorKind::failure, "cuDNN {}: {} ({}:{}: {}{})",
       version(), describe(status), where.file_name(), where.line(), call,
       detail < 0 ? "" : fmt::format(" of {}", detail));
}

cudnnHandle_t handle() {
  // Never destroyed: when a process ends the driver may go first.
  static const cudnnHandle_t instance = [] {
    const cudaStream_t stream = cuda::stream();
    cudnnHandle_t made = nullptr;
    check(cudnnCreate(&made), "cudnnCreate");
    check(cudnnSetStream(made, stream), "cudnnSetStream");
    return made;
  }();
  return instance;
}

std::string version() {
  const size_t number = cudnnGetVersion();
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type, Where where) {
  check(cudnnBackendCreateDescriptor(type, &raw_), "cudnnBackendCreateDescriptor", type, where);
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) cudnnBackendDestroyDescriptor(raw_);
}

void Descriptor::finalize(Where where) { check(try_finalize(), "cudnnBackendFinalize", -1, where); }

void Descriptor::set_raw(cudnnBackendAttributeName_t name, int type, int64_t count,
                         const void* values, Where where) {
  check(cudnnBackendSetAttribute(raw_, name, static_cast<cudnnBackendAttributeType_t>(type), count,
                                 values),
        "cudnnBackendSetAttribute", name, where);
}

size_t Descriptor::get_raw(cudnnBackendAttributeName_t name, int type, size_t most, void* values,
                           Where where) const {
  int64_t count = 0;
  check(cudnnBackendGetAttribute(raw_, name, static_cast<cudnnBackendAttributeType_t>(type),
                                 static_cast<int64_t>(most), &count, values),
        "cudnnBackendGetAttribute", name, where);
  return std::min(static_cast<size_t>(count), most);
}

std::vector<Descriptor> Descriptor::get_descriptors(cudnnBackendAttributeName_t name,
                                                    cudnnBackendDescriptorType_t type,
                                                    Where where) const {
  // With room for none, cuDNN answers how many there are at most; but always 0 for the settings of
  // an engine, of which there is at most one of each type.
  int64_t most = CUDNN_KNOB_TYPE_COUNTS;
  if (name != CUDNN_ATTR_ENGINECFG_KNOB_CHOICES)
    check(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &most, nullptr),
          "cudnnBackendGetAttribute", name, where);
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < most; ++i) {
    found.emplace_back(type, where);
    raw.push_back(found.back().raw());
  }
  if (most > 0)
    found.resize(get_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.size(), raw.data(), where));
  return found;
}

}  // namespace pal::cudnn
