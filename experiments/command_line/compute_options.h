#pragma once
#include <string>

#include "experiments/command_line/option_table.h"
#include "runtime/device.h"

namespace pal {

/// What a program computes on, and how exactly.
struct ComputeOptions {
  std::string device = "auto";
  int threads = 0;        ///< 0: all processors
  std::string precision;  ///< fp32, tf32 or bf16; empty: as the checkpoint says
  bool autotune = false;
  bool allow_nondeterministic = false;
  bool fused_products = false;
};

/// Adds --device, --threads, --precision, --autotune and --allow-nondeterministic to a program, and
/// --fused-products to one that trains: whose precision is not a checkpoint's.
void add_compute_options(OptionTable& table, ComputeOptions& options);

/// After parsing: sets threads and the GPU libraries' precision and returns the device. Throws
/// usage for words that do not fit and environment for what this machine cannot do.
Device apply_compute_options(const ComputeOptions& options);

/// The device for people: "cpu", or "cuda:0 (NVIDIA H200)".
std::string describe_device(Device device);
/// The libraries that compute on the device, for people: "oneDNN 2.6.3", or the GPU's driver and
/// libraries.
std::string describe_libraries(Device device);

}  // namespace pal
