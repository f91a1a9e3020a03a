#include "experiments/command_line/compute_options.h"

#include <fmt/core.h>

#include "kernels/library/cuda_settings.h"
#include "kernels/library/platform.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {

void add_compute_options(OptionTable& table, ComputeOptions& o) {
  table.text("device", o.device, "auto (a GPU if there is one), cpu or cuda[:N]")
      .unit("DEVICE")
      .values({"auto", "cpu", "cuda"});
  table
      .whole("threads", o.threads,
             "Threads; auto: one for each processor that this process may use")
      .at_least(1)
      .word("auto", 0);
  const bool of_checkpoint = o.precision.empty();
  table
      .text("precision", o.precision,
            "fp32, tf32 (GPU) or bf16 inside subnets; the stream stays fp32")
      .unit("WORD")
      .values({"fp32", "tf32", "bf16"})
      .shown_default(of_checkpoint ? "as the checkpoint says" : "fp32")
      .on_resume(OnResume::keeps)
      .recorded();
  table.toggle("autotune", o.autotune,
               "GPU: time the algorithms of convolutions and matrix products and keep the fastest, "
               "for later runs too");
  table.toggle("allow-nondeterministic", o.allow_nondeterministic,
               "GPU: also algorithms whose sums come in no fixed order");
  if (of_checkpoint) return;
  table
      .toggle("fused-products", o.fused_products,
              "GPU, bf16: batch norm inside the 1x1 convolution that follows it")
      .on_resume(OnResume::changes);
}

Device apply_compute_options(const ComputeOptions& o) {
  const std::string& precision = o.precision;
  expect(precision.empty() || precision == "fp32" || precision == "tf32" || precision == "bf16",
         "--precision: expected fp32, tf32 or bf16, got '{}'", precision);
  set_thread_count(o.threads);
  Device device;
  try {
    device = parse_device(o.device);
  } catch (const Error& error) {
    const std::string text = error.what();
    fail(error.kind(), "{}{}", text.starts_with("device:") ? "--" : "", text);
  }
  if (device.is_cpu()) {
    if (precision == "tf32")
      fail(ErrorKind::usage, "--precision: tf32 needs a GPU; use fp32 or bf16");
    if (precision == "bf16" && !cpu_has_bf16())
      fail(ErrorKind::environment,
           "--precision: bf16 needs AVX-512, which this processor lacks; use fp32");
  }
  if (o.fused_products && (device.is_cpu() || precision != "bf16"))
    fail(ErrorKind::usage, "--fused-products: needs a GPU and --precision bf16");
  cuda_math().tf32 = precision == "tf32";
  // Gradients that come from subnets in bf16 and go back to them are no more exact than TF32.
  cuda_math().tf32_gradients = precision == "bf16";
  cuda_math().autotune = o.autotune;
  cuda_math().allow_nondeterministic = o.allow_nondeterministic;
  cuda_math().fused_products = o.fused_products;
  return device;
}

std::string describe_device(Device device) {
  if (device.is_cpu()) return "cpu";
  return fmt::format("{} ({})", device.str(), cuda::device_info().name);
}

std::string describe_libraries(Device device) {
  if (device.is_cpu()) return cpu_library_version();
  const cuda::DeviceInfo info = cuda::device_info();
  const std::string libraries = cuda_library_versions();
  return fmt::format("driver for CUDA {}, CUDA {}{}{}", info.driver, info.runtime,
                     libraries.empty() ? "" : ", ", libraries);
}

}  // namespace pal
