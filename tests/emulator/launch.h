#pragma once
#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/emulator/language.h"
#include "tests/emulator/runtime_api.h"

namespace emulator {
namespace detail {

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes;
  const void* kernel;
};

/// Checks the limits of the hardware and runs `body(argument)` for every thread.
void run_kernel(const Launch& launch, void (*body)(void*), void* argument);
/// Allows a kernel this much static and dynamic shared memory.
void raise_shared_limit(const void* kernel, std::size_t bytes);
/// A pointer handed to a kernel must be null or lie in device or pinned memory.
void check_kernel_pointer(std::size_t position, const void* pointer);
/// Whether work on the stream is to be recorded; checks the stream and the device.
bool is_recording(cudaStream_t stream, const char* call);
void record_kernel(cudaStream_t stream, std::function<void()> operation);
bool is_late(cudaStream_t stream);
void defer(cudaStream_t stream, std::function<void()> work);

template <class... P>
class Call {
 public:
  Call(const Launch& launch, void (*kernel)(P...), P... arguments)
      : launch_(launch), kernel_(kernel), arguments_(arguments...) {}

  void operator()() {
    check_pointers(std::index_sequence_for<P...>{});
    run_kernel(
        launch_,
        [](void* self) {
          auto* call = static_cast<Call*>(self);
          std::apply(call->kernel_, call->arguments_);
        },
        this);
  }

 private:
  template <std::size_t... I>
  void check_pointers(std::index_sequence<I...>) const {
    (check<I>(std::get<I>(arguments_)), ...);
  }
  template <std::size_t I, class T>
  static void check([[maybe_unused]] const T& argument) {
    if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>)
      check_kernel_pointer(I, argument);
  }

  Launch launch_;
  void (*kernel_)(P...);
  std::tuple<std::remove_cv_t<P>...> arguments_;
};

}  // namespace detail

/// kernel<<<grid, block, shared_bytes, stream>>>(arguments...): runs it, late streams later, or
/// records it if the stream is captured. Throws Fault where hardware would refuse it or fail in it.
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared_bytes,
            cudaStream_t stream, A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "wrong number of kernel arguments");
  static_assert((std::is_trivially_copy_constructible_v<P> && ...) &&
                    (std::is_trivially_destructible_v<P> && ...),
                "kernel arguments are copied byte by byte");
  static_assert((sizeof(P) + ... + 0) <= 4096, "kernel arguments may take 4 KB");
  const bool recording = detail::is_recording(stream, "a kernel launch");
  detail::Call<P...> call({grid, block, shared_bytes, reinterpret_cast<const void*>(kernel)},
                          kernel, static_cast<P>(std::forward<A>(arguments))...);
  if (recording)
    detail::record_kernel(stream, call);
  else if (detail::is_late(stream))
    detail::defer(stream, call);
  else
    call();
}

}  // namespace emulator
