// The latent mixture and the softmax losses.
#include <fmt/format.h>

#include <utility>

#include "bench/kernels/kernel_case.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/loss/mixture.h"
#include "kernels/loss/softmax.h"

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
  /// Products with the means, their norms included: those of the low-rank part need P P^T.
  int64_t score_flops() const {
    const int64_t batch = z.size(0), classes = means.mean.size(0);
    const int64_t dense = 2 * (batch + 1) * means.mean.numel();
    if (!means.low_rank()) return dense;
    const int64_t rank = means.alpha.size(1);
    return dense + 2 * (batch + rank) * means.prototypes.numel() +
           2 * (batch + rank) * classes * rank;
  }
  int64_t gradient_flops() const {
    const int64_t batch = z.size(0), classes = means.mean.size(0);
    const int64_t dense = (4 * batch + 2) * means.mean.numel();
    if (!means.low_rank()) return dense;
    const int64_t rank = means.alpha.size(1);
    return dense + (4 * batch + 2 * rank) * means.prototypes.numel() +
           (4 * batch + 2 * rank) * classes * rank;
  }
  Tensor z, scores;
  MixtureMeans means;
  MixtureState mixture;
};

void scores(benchmark::State& state, const HeadCase& c) {
  Head head(c);
  against_copy(state, {head.bytes(), head.score_flops()}, [&] {
    PAL_BACKEND(head.z, mixture_scores(head.z, head.means, head.scores, head.mixture));
  });
}

/// `tf32`: with gradients as in runs whose subnets compute in bf16.
void backward(benchmark::State& state, const HeadCase& c, bool tf32) {
  const bool before = std::exchange(cuda_math().tf32_gradients, tf32);
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
  const Cost cost{2 * head.z.bytes() + 3 * parameters, head.gradient_flops()};
  against_copy(state, cost, [&] {
    PAL_BACKEND(head.z, mixture_backward(head.z, head.means, head.mixture, head.scores, 1e-6,
                                         grad_z, grads));
  });
  cuda_math().tf32_gradients = before;
}

void add_softmax_cases(int64_t rows) {
  const auto name = [&](const char* op) { return fmt::format("{}/{}x1000", op, rows); };
  add_case(name("softmax"), [rows](benchmark::State& state) {
    const Tensor x = random_tensor({rows, 1000});
    const Tensor y = Tensor::empty(x.shape());
    against_copy(state, {x.bytes() + y.bytes(), 3 * x.numel()},
                 [&] { PAL_BACKEND(x, softmax(x, y)); });
  });
  // Of the batch's mean, with its gradient.
  add_case(name("cross_entropy"), [rows](benchmark::State& state) {
    const Tensor x = random_tensor({rows, 1000});
    const Tensor grad = Tensor::empty(x.shape());
    const Tensor losses = Tensor::empty({rows}, DType::f64);
    const Tensor labels = device_index(std::vector<int32_t>(static_cast<size_t>(rows), 7));
    const double weight = 1.0 / static_cast<double>(rows);
    against_copy(state, {2 * x.bytes() + grad.bytes(), 6 * x.numel()}, [&] {
      PAL_BACKEND(x, cross_entropy(x, labels, losses));
      PAL_BACKEND(x, cross_entropy_backward(x, labels, weight, grad));
    });
  });
}

}  // namespace

void add_head_cases() {
  for (const HeadCase& c : kHeads) {
    add_case(fmt::format("mixture_scores/{}/b{}", c.name, c.batch),
             [c](benchmark::State& state) { scores(state, c); });
    add_case(fmt::format("mixture_backward/{}/b{}", c.name, c.batch),
             [c](benchmark::State& state) { backward(state, c, false); });
    if (target().device.is_cuda())
      add_case(fmt::format("mixture_backward/{}/b{}/tf32", c.name, c.batch),
               [c](benchmark::State& state) { backward(state, c, true); });
  }
  add_softmax_cases(4);
  add_softmax_cases(4096);
  if (thorough()) add_softmax_cases(target().elements / 1000);
}

}  // namespace pal::bench
