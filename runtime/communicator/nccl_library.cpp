#include "runtime/communicator/nccl_library.h"

#include "runtime/error.h"

#ifdef PAL_NCCL
#ifdef PAL_EMULATE_CUDA
#include "runtime/launch.cuh"
#else
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#endif
#endif

namespace pal {

#ifndef PAL_NCCL

namespace {

[[noreturn]] void no_nccl() {
  fail(ErrorKind::environment,
       "nccl: this build has no NCCL; build with -DPALINDROME_NCCL=ON, or use --comm cpu");
}

}  // namespace

std::string nccl_version() { no_nccl(); }
void* nccl_symbol(const char*) { no_nccl(); }

#else

namespace {

// The first with communicators that do not block (2.14) and the functions used here unchanged.
constexpr int kOldestNccl = 21800;

std::string nccl_version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

#ifdef PAL_EMULATE_CUDA

void* find_nccl(const char* name) { return emulator::nccl_symbol(name); }

#else

constexpr const char* kNcclName = "libnccl.so.2";

std::string nccl_path() {
  const char* named = std::getenv("PALINDROME_NCCL_LIBRARY");
  if (named == nullptr || *named == '\0') return kNcclName;
  const std::filesystem::path path = named;
  return std::filesystem::is_directory(path) ? path / kNcclName : path;
}

/// Stays loaded: its threads may outlive whoever asked for it.
void* open_nccl() {
  void* library = dlopen(nccl_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    fail(ErrorKind::environment,
         "nccl: {}; install NCCL {} or newer (NVIDIA's package libnccl2, or pip install "
         "nvidia-nccl-cu13), let PALINDROME_NCCL_LIBRARY name it, or use --comm cpu",
         dlerror(), nccl_version_text(kOldestNccl));
  return library;
}

void* find_nccl(const char* name) {
  static void* const library = open_nccl();
  return dlsym(library, name);
}

#endif

void* require_nccl(const char* name) {
  void* symbol = find_nccl(name);
  if (symbol == nullptr) fail(ErrorKind::environment, "nccl: the library has no {}", name);
  return symbol;
}

int load_nccl_version() {
  int version = 0;
  // 0 is ncclSuccess.
  if (reinterpret_cast<int (*)(int*)>(require_nccl("ncclGetVersion"))(&version) != 0 ||
      version < kOldestNccl)
    fail(ErrorKind::environment,
         "nccl: version {} is too old; install {} or newer, or use --comm cpu",
         nccl_version_text(version), nccl_version_text(kOldestNccl));
  return version;
}

int checked_nccl_version() {
  static const int loaded = load_nccl_version();
  return loaded;
}

}  // namespace

std::string nccl_version() { return nccl_version_text(checked_nccl_version()); }

void* nccl_symbol(const char* name) {
  (void)checked_nccl_version();
  return require_nccl(name);
}

#endif  // PAL_NCCL

}  // namespace pal
