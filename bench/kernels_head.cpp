// The latent mixture and the softmax losses.
#include <fmt/format.h>

#include "bench/kernel_case.h"
#include "kernels/mixture.h"
#include "kernels/softmax.h"

namespace pal::bench {
namespace {

struct HeadCase {
  const char* name;
  int64_t batch, classes, dims, mean_dims, rank;
};
constexpr HeadCase kHeads[] = {{"ibinn-imagenet", 4, 1000, 150528, 3072, 128},
                               {"ibinn-imagenet", 64, 1000, 150528, 3072, 128},
                               {"ibinn-imagenet", 256, 1000, 150528, 3072, 128},
                               {"ibinn-mnist", 128, 10, 784, 784, 0}};

struct Head {
  explicit Head(const HeadCase& c)
      : z(random_tensor({c.batch, c.dims})), scores(Tensor::empty({c.batch, c.classes})) {
    means.mean = random_tensor({c.classes, c.mean_dims});
    if (c.rank == 0) return;
    means.alpha = random_tensor({c.classes, c.rank});
    means.prototypes = random_tensor({c.rank, c.dims - c.mean_dims});
  }
  /// Everything that one pass must read: z and the parameters.
  int64_t bytes() const {
    int64_t sum = z.bytes() + means.mean.bytes();
    if (means.low_rank()) sum += means.alpha.bytes() + means.prototypes.bytes();
    return sum;
  }
  Tensor z, scores;
  MixtureMeans means;
  MixtureState mixture;
};

void scores(benchmark::State& state, const HeadCase& c) {
  Head head(c);
  against_copy(state, head.bytes(), [&] {
    PAL_BACKEND(head.z, mixture_scores(head.z, head.means, head.scores, head.mixture));
  });
}

void backward(benchmark::State& state, const HeadCase& c) {
  Head head(c);
  PAL_BACKEND(head.z, mixture_scores(head.z, head.means, head.scores, head.mixture));
  const Tensor grad_z = Tensor::empty(head.z.shape());
  MixtureGrads grads;
  grads.mean = Tensor::zeros(head.means.mean.shape());
  if (head.means.low_rank()) {
    grads.alpha = Tensor::zeros(head.means.alpha.shape());
    grads.prototypes = Tensor::zeros(head.means.prototypes.shape());
  }
  // Reads z and the parameters, writes grad_z, adds to the parameters' gradients.
  const int64_t parameters = head.bytes() - head.z.bytes();
  against_copy(state, 2 * head.z.bytes() + 3 * parameters, [&] {
    PAL_BACKEND(head.z, mixture_backward(head.z, head.means, head.mixture, head.scores, 1e-6,
                                         grad_z, grads));
  });
}

}  // namespace

void add_head_cases() {
  for (const HeadCase& c : kHeads) {
    add_case(fmt::format("mixture_scores/{}/b{}", c.name, c.batch),
             [c](benchmark::State& state) { scores(state, c); });
    add_case(fmt::format("mixture_backward/{}/b{}", c.name, c.batch),
             [c](benchmark::State& state) { backward(state, c); });
  }
  for (const int64_t rows : {int64_t{4}, int64_t{4096}, target().elements / 1000})
    add_case(fmt::format("softmax/{}x1000", rows), [rows](benchmark::State& state) {
      const Tensor x = random_tensor({rows, 1000});
      const Tensor y = Tensor::empty(x.shape());
      against_copy(state, x.bytes() + y.bytes(), [&] { PAL_BACKEND(x, softmax(x, y)); });
    });
}

}  // namespace pal::bench
