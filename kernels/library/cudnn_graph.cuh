#pragma once
// cuDNN's graph API as far as convolutions need it: descriptors that clean up after themselves and
// calls that are checked. For the files of the cuDNN backend.
#include <cudnn.h>

#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace pal::cudnn {

using Where = std::source_location;

/// "CUDNN_STATUS_NOT_SUPPORTED: " and what cuDNN last complained about.
std::string describe(cudnnStatus_t status);
/// Throws failure with cuDNN's words, the call and the place unless the call succeeded. `detail` is
/// an attribute's or a descriptor's number, or -1.
void check(cudnnStatus_t status, const char* call, int detail = -1, Where where = Where::current());

/// The handle of this process, bound to cuda::stream(); made by the first call, which must not fall
/// into the capture of a graph.
cudnnHandle_t handle();
/// The version of the library at run time: "9.19.0".
std::string version();

/// cuDNN's number for the type of an attribute whose C++ type is T; -1: none known.
template <typename T>
inline constexpr int kAttributeType = -1;
template <>
inline constexpr int kAttributeType<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
inline constexpr int kAttributeType<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
inline constexpr int kAttributeType<int64_t> = CUDNN_TYPE_INT64;
template <>
inline constexpr int kAttributeType<float> = CUDNN_TYPE_FLOAT;
template <>
inline constexpr int kAttributeType<char> = CUDNN_TYPE_CHAR;
template <>
inline constexpr int kAttributeType<void*> = CUDNN_TYPE_VOID_PTR;
template <>
inline constexpr int kAttributeType<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
inline constexpr int kAttributeType<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
inline constexpr int kAttributeType<cudnnBackendKnobType_t> = CUDNN_TYPE_KNOB_TYPE;
template <>
inline constexpr int kAttributeType<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;

/// One of cuDNN's backend descriptors: attributes are set, then it is finalised; results are read.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type, Where where = Where::current());
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  bool defined() const { return raw_ != nullptr; }
  cudnnBackendDescriptor_t raw() const { return raw_; }

  template <typename T>
  void set(cudnnBackendAttributeName_t name, const T& value, Where where = Where::current()) {
    static_assert(kAttributeType<T> >= 0);
    set_raw(name, kAttributeType<T>, 1, &value, where);
  }
  template <typename T>
  void set(cudnnBackendAttributeName_t name, const std::vector<T>& values,
           Where where = Where::current()) {
    set_raw(name, kAttributeType<T>, static_cast<int64_t>(values.size()), values.data(), where);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value,
           Where where = Where::current()) {
    set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_, where);
  }

  /// An attribute's value.
  template <typename T>
  T get(cudnnBackendAttributeName_t name, Where where = Where::current()) const {
    T value{};
    get_raw(name, kAttributeType<T>, 1, &value, where);
    return value;
  }
  /// An attribute's value; nothing if cuDNN cannot tell.
  template <typename T>
  std::optional<T> try_get(cudnnBackendAttributeName_t name) const {
    T value{};
    int64_t count = 0;
    const auto type = static_cast<cudnnBackendAttributeType_t>(kAttributeType<T>);
    if (cudnnBackendGetAttribute(raw_, name, type, 1, &count, &value) != CUDNN_STATUS_SUCCESS)
      return std::nullopt;
    return value;
  }
  /// The values of an attribute, at most `most`.
  template <typename T>
  std::vector<T> get_all(cudnnBackendAttributeName_t name, size_t most,
                         Where where = Where::current()) const {
    std::vector<T> values(most);
    values.resize(get_raw(name, kAttributeType<T>, most, values.data(), where));
    return values;
  }
  /// All values of an attribute whose values are descriptors of this type.
  std::vector<Descriptor> get_descriptors(cudnnBackendAttributeName_t name,
                                          cudnnBackendDescriptorType_t type,
                                          Where where = Where::current()) const;

  /// Finalises the descriptor; throws if cuDNN refuses it.
  void finalize(Where where = Where::current());
  /// Finalises a descriptor that cuDNN may have to refuse; returns its answer.
  cudnnStatus_t try_finalize() { return cudnnBackendFinalize(raw_); }

 private:
  void set_raw(cudnnBackendAttributeName_t name, int type, int64_t count, const void* values,
               Where where);
  /// Reads at most `most` values of an attribute; returns how many came back.
  size_t get_raw(cudnnBackendAttributeName_t name, int type, size_t most, void* values,
                 Where where) const;

  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace pal::cudnn
