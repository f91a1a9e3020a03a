#include "tests/support/source_file.h"

namespace pal::testing {

std::string source_file(const std::string& path) { return PAL_SOURCE_DIR "/" + path; }

}  // namespace pal::testing
