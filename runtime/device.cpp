#include "runtime/device.h"

#include "runtime/error.h"

namespace pal {

Device parse_device(const std::string& text) {
  if (text == "auto" || text == "cpu") return {};
  const bool numbered = text.rfind("cuda:", 0) == 0 && text.size() > 5 &&
                        text.find_first_not_of("0123456789", 5) == std::string::npos;
  if (text == "cuda" || numbered)
    fail(ErrorKind::environment, "--device: {}: this build has no CUDA backend; use --device cpu",
         text);
  fail(ErrorKind::usage, "--device: expected auto, cpu or cuda[:N], got '{}'", text);
}

}  // namespace pal
