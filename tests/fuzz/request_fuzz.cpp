#include <fcntl.h>
#include <unistd.h>

#include "experiments/classify/request_source.h"
#include "experiments/report/base64.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace pal;

/// What is asked is one thing, or an error says why it is none.
void check(const PictureRequest& request) {
  if (request.error.empty() && request.file.has_value() == !request.picture.empty()) std::abort();
  if (request.file && request.file->size() > kMostNameBytes) std::abort();
}

}  // namespace

// What a stream of requests may hold: one line, and all of them through a pipe.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  check(parse_request(text));
  if (const auto decoded = base64_bytes(text); decoded && base64(*decoded) != text) std::abort();
  return fuzz::run_file(bytes, size, [](const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    PipedRequests requests(file, '\n', [] { return false; });
    for (auto batch = requests.next(3); !batch.empty(); batch = requests.next(3))
      for (const PictureRequest& request : batch) check(request);
    ::close(file);
  });
}
