#include "experiments/training/choices_metadata.h"

#include "kernels/library/cuda_settings.h"

namespace pal {
namespace {

constexpr const char* kEntry = "library_choices";
/// As checkpoints call it that know of convolutions alone.
constexpr const char* kOldEntry = "convolution_choices";

}  // namespace

void export_library_choices(std::map<std::string, std::string>& metadata) {
  metadata[kEntry] = library_choices();
}

void import_library_choices(const std::map<std::string, std::string>& metadata) {
  for (const char* entry : {kOldEntry, kEntry})
    if (const auto choices = metadata.find(entry); choices != metadata.end())
      set_library_choices(choices->second);
}

}  // namespace pal
