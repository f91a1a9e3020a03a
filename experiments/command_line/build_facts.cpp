#include "experiments/command_line/build_facts.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <spdlog/version.h>
#include <toml++/toml.h>

#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>

#include "data/pictures/codec_versions.h"
#include "kernels/library/platform.h"
#include "runtime/communicator/gloo_communicator.h"
#include "runtime/communicator/nccl_library.h"
#include "runtime/cuda.h"
#include "runtime/error.h"

namespace pal {
namespace {

std::string compiler() {
#ifdef __clang__
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

#ifdef PAL_HARDENED
constexpr const char* kHardened = "hardened";
#else
constexpr const char* kHardened = "not hardened";
#endif

std::string nccl() {
  try {
    return "NCCL " + nccl_version();
  } catch (const Error&) {
    return "no NCCL";
  }
}

std::string dotted(int major, int minor, int patch) {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace

std::string build_facts() {
  const std::string gloo = gloo_version();
  std::string text =
      fmt::format("build: {}, loops for {}, {}\n", compiler(), instruction_level(), kHardened);
  text += fmt::format(
      "libraries: {}, {}, OpenMP {}, {}, fmt {}, spdlog {}, nlohmann-json {}, toml++ {}, CLI11 {}, "
      "glibc {}\n",
      cpu_library_version(), codec_versions(), _OPENMP, gloo.empty() ? "no Gloo" : "Gloo " + gloo,
      dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100),
      dotted(SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH),
      dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH),
      dotted(TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH), CLI11_VERSION,
      gnu_get_libc_version());
  if (const std::string cuda = cuda::runtime_version(); !cuda.empty()) {
    const std::string libraries = cuda_library_versions();
    text += fmt::format("GPU: CUDA {}, {}{}{}\n", cuda, libraries, libraries.empty() ? "" : ", ",
                        nccl());
  }
  return text;
}

}  // namespace pal
