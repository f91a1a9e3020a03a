// Every kernel family beside what the same machine can do at the same time: of_best compares with
// the library's own choice of layouts, of_copy with a copy of as many bytes.
#include "bench/kernel_case.h"
#include "kernels/planned.h"
#include "runtime/parallel.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("threads", std::to_string(pal::thread_count()));
  benchmark::AddCustomContext("library", pal::cpu_library_version());
  benchmark::AddCustomContext("native bf16", pal::cpu_has_native_bf16() ? "yes" : "no");
  using namespace pal::bench;
  add_conv_cases();
  add_matrix_cases();
  add_norm_cases();
  add_coupling_cases();
  add_rearranging_cases();
  add_streaming_cases();
  add_head_cases();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
