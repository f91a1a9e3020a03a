#pragma once
#include <string>
#include <vector>

namespace pal {

/// The GPUs that cuda::device_count() counts, each as a text that no other has, on whatever machine.
/// Processes that find the same text see the same GPU, whatever number each knows it by.
std::vector<std::string> gpu_identities();

}  // namespace pal
