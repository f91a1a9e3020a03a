#include "layers/batch_parts.h"

#include "runtime/error.h"

namespace pal {
namespace {

Shape with_samples(const Shape& shape, int64_t samples) {
  if (shape.rank() == 2) return {samples, shape[1]};
  return {samples, shape[1], shape[2], shape[3]};
}

}  // namespace

void visit_parts(const Tensor& x, int64_t most,
                 const std::function<void(const Tensor& part)>& visit) {
  expect(most >= 0, "visit_parts: expected at least 0 samples at a time, got {}", most);
  const int64_t samples = x.size(0);
  if (most == 0 || samples <= most) return visit(x);
  const int64_t parts = (samples + most - 1) / most;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t begin = i * samples / parts;
    visit(x.slice_batch(begin, (i + 1) * samples / parts - begin));
  }
}

Tensor map_parts(const Tensor& x, int64_t most,
                 const std::function<Tensor(const Tensor& part)>& map) {
  Tensor whole;
  int64_t done = 0;
  visit_parts(x, most, [&](const Tensor& part) {
    const Tensor result = map(part);
    if (part.size(0) == x.size(0)) {
      whole = result;
      return;
    }
    if (!whole.defined())
      whole = Tensor::empty(with_samples(result.shape(), x.size(0)), result.dtype(), Tag::stream,
                            result.device());
    whole.slice_batch(done, part.size(0)).copy_from(result);
    done += part.size(0);
  });
  return whole;
}

}  // namespace pal
