#include "kernels/loss/mixture.h"

#include <gtest/gtest.h>

#include "kernels/arrays/reduce.h"
#include "kernels/loss/softmax.h"
#include "kernels/mixing/permutation.h"
#include "tests/cuda/guarded_output.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::GuardedOutput;
using test::on_cpu;
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::tensor_with;

/// Sizes of a mixture; rank 0 is full rank.
struct Sizes {
  int64_t batch, classes, dims, mean_dims, rank, permuted;
};
constexpr Sizes kSizes[] = {
    {1, 1, 1, 1, 0, 0},        {3, 4, 11, 11, 0, 0},     {3, 4, 11, 11, 0, 3},
    {3, 4, 11, 5, 2, 0},       {6, 10, 5000, 12, 8, 12}, {5, 131, 300, 140, 7, 133},
    {9, 12, 1024, 512, 16, 0}, {2, 3, 700, 5, 64, 0},    {2, 3, 300, 5, 83, 0}};

std::string name_of_sizes(const Sizes& s) {
  return std::to_string(s.classes) + " classes in " + std::to_string(s.dims) + " dimensions";
}

MixtureMeans means_of(const Sizes& s) {
  MixtureMeans means;
  means.mean = random_tensor({s.classes, s.mean_dims}, DType::f32, 1);
  if (s.rank > 0) {
    means.alpha = random_tensor({s.classes, s.rank}, DType::f32, 2, 0.3);
    means.prototypes = random_tensor({s.rank, s.dims - s.mean_dims}, DType::f32, 3, 0.3);
  }
  if (s.permuted > 0) {
    const auto tensor = [](const std::vector<int32_t>& index) {
      return tensor_with({static_cast<int64_t>(index.size())}, DType::i32,
                         {index.begin(), index.end()});
    };
    const auto order = numpy_permutation(s.permuted);
    means.permutation = tensor(order);
    means.inverse_permutation = tensor(invert_permutation(order));
  }
  return means;
}

MixtureMeans on_device(const MixtureMeans& means) {
  MixtureMeans moved = means;
  for (Tensor* t : {&moved.mean, &moved.alpha, &moved.prototypes, &moved.permutation,
                    &moved.inverse_permutation})
    if (t->defined()) *t = on_gpu(*t);
  return moved;
}

constexpr MixtureWeights kWeights{0.7, 1.3};

/// One training step's worth of results on the device of z.
struct Step {
  Step(const Tensor& z, const MixtureMeans& means, const Tensor& log_det, const Tensor& targets,
       const Tensor& to)
      : grad_z(to) {
    const DeviceScope device(z.device());
    const int64_t n = z.size(0);
    scores = Tensor::empty({n, means.classes()});
    half_norm = Tensor::empty({n}, DType::f64);
    losses = {Tensor::empty({n}, DType::f64), Tensor::empty({n}, DType::f64),
              Tensor::empty({n}, DType::f64), Tensor::empty({n, means.classes()})};
    summary = Tensor::empty({3}, DType::f64);
    grads.mean = Tensor::zeros(means.mean.shape());
    if (means.low_rank()) {
      grads.alpha = Tensor::zeros(means.alpha.shape());
      grads.prototypes = Tensor::zeros(means.prototypes.shape());
    }
    MixtureState state;
    // Twice: state is used again, gradients of the means are added to.
    for (int round = 0; round < 2; ++round) {
      PAL_BACKEND(z, mixture_scores(z, means, scores, state));
      PAL_BACKEND(z, half_squared_norm(z, half_norm));
      PAL_BACKEND(
          z, mixture_losses(scores, half_norm, log_det, targets, z.channels(), kWeights, losses));
      PAL_BACKEND(z, mixture_summary(losses.nll_joint, losses.cross_entropy, kWeights, summary));
      PAL_BACKEND(
          z, mixture_backward(z, means, state, losses.grad_scores,
                              mixture_density_gradient(kWeights, n, z.channels()), grad_z, grads));
    }
  }

  std::vector<Tensor> results() const {
    std::vector<Tensor> all{
        scores,  losses.nll_joint, losses.nll_class, losses.cross_entropy, losses.grad_scores,
        summary, grad_z,           grads.mean};
    if (grads.alpha.defined()) all.insert(all.end(), {grads.alpha, grads.prototypes});
    return all;
  }

  Tensor scores, half_norm, summary, grad_z;
  MixtureLosses losses;
  MixtureGrads grads;
};

/// Everything that goes in, on the CPU.
struct Input {
  explicit Input(const Sizes& s)
      : means(means_of(s)),
        z(random_tensor({s.batch, s.dims}, DType::f32, 4)),
        log_det(random_tensor({s.batch}, DType::f64, 5)),
        targets(Tensor::empty({s.batch, s.classes})) {
    const Tensor labels = Tensor::empty({s.batch}, DType::i32);
    for (int64_t n = 0; n < s.batch; ++n)
      labels.data<int32_t>()[n] = static_cast<int32_t>(7 * n % s.classes);
    cpu::soft_targets(labels, 0.05, targets);
  }

  MixtureMeans means;
  Tensor z, log_det, targets;
};

TEST(MixtureCuda, FollowsTheCpu) {
  for (const Sizes& sizes : kSizes)
    for (const int64_t begin : {0, 1, 4}) {
      const Input input(sizes);
      const Step host(input.z, input.means, input.log_det, input.targets,
                      Tensor::empty(input.z.shape()));
      const GuardedOutput grad_z(input.z.shape(), DType::f32, begin, begin);
      const Step device(gpu_slice(input.z, begin, begin), on_device(input.means),
                        on_gpu(input.log_det), gpu_slice(input.targets, begin, 1), grad_z.slice());
      const auto wanted = host.results();
      const auto found = device.results();
      ASSERT_EQ(wanted.size(), found.size());
      // Products of float32 in other orders, over up to 5000 terms.
      for (size_t i = 0; i < wanted.size(); ++i)
        test::expect_close(wanted[i], found[i], 2e-5,
                           name_of_sizes(sizes) + ", result " + std::to_string(i));
      grad_z.expect_kept(name_of_sizes(sizes));
    }
}

TEST(MixtureCuda, LossesMayBeLeftOut) {
  const Input input(kSizes[3]);
  const Tensor scores = on_gpu(random_tensor({3, 4}, DType::f32, 6));
  const Tensor per_sample = on_gpu(input.log_det);
  MixtureLosses losses;
  losses.nll_class = Tensor::empty({3}, DType::f64, Tag::data, gpu());
  cuda::mixture_losses(scores, per_sample, per_sample, on_gpu(input.targets), 11, kWeights, losses);
  MixtureLosses wanted;
  wanted.nll_class = Tensor::empty({3}, DType::f64);
  cpu::mixture_losses(on_cpu(scores), input.log_det, input.log_det, input.targets, 11, kWeights,
                      wanted);
  test::expect_close(wanted.nll_class, losses.nll_class, 1e-13, "nll_class");
}

TEST(MixtureCuda, SummaryOfManySamples) {
  const Tensor joint = random_tensor({1500}, DType::f64, 7);
  const Tensor entropy = random_tensor({1500}, DType::f64, 8);
  const Tensor wanted = Tensor::empty({3}, DType::f64);
  const Tensor summary = Tensor::empty({3}, DType::f64, Tag::data, gpu());
  cpu::mixture_summary(joint, entropy, kWeights, wanted);
  cuda::mixture_summary(on_gpu(joint), on_gpu(entropy), kWeights, summary);
  test::expect_close(wanted, summary, 1e-14, "summary");
}

TEST(MixtureCuda, StateMovesWithItsDevice) {
  const Input input(kSizes[4]);
  MixtureState state;
  const Tensor scores = Tensor::empty({6, 10});
  cpu::mixture_scores(input.z, input.means, scores, state);
  const Tensor device_scores = Tensor::empty({6, 10}, DType::f32, Tag::data, gpu());
  cuda::mixture_scores(on_gpu(input.z), on_device(input.means), device_scores, state);
  test::expect_close(scores, device_scores, 2e-5, "scores");
  EXPECT_EQ(state.gram.device(), gpu());
}

TEST(MixtureCuda, MeanDistanceReadsTheDevice) {
  for (const Sizes& sizes : kSizes) {
    const MixtureMeans means = means_of(sizes);
    EXPECT_EQ(mean_distance(means), mean_distance(on_device(means)));
  }
}

TEST(MixtureCuda, SchedulesGiveTheSameBits) {
  const Input input({5, 131, 300, 140, 7, 133});
  const MixtureMeans means = on_device(input.means);
  const Tensor z = on_gpu(input.z);
  const Tensor log_det = on_gpu(input.log_det);
  const Tensor targets = on_gpu(input.targets);
  test::run_schedules([&] {
    return Step(z, means, log_det, targets, Tensor::empty(z.shape(), DType::f32, Tag::data, gpu()))
        .results();
  });
}

TEST(MixtureCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  MixtureState state;
  const Tensor z = zeros({2, 4});
  MixtureMeans means;
  means.mean = zeros({3, 4});
  expect_error(ErrorKind::usage, "expected scores of shape [2, 3], got [2, 4]", [&] {
    cuda::mixture_scores(z, means, zeros({2, 4}), state);
  });
  expect_error(ErrorKind::usage, "non-empty z", [&] {
    cuda::mixture_scores(zeros({0, 4}), means, zeros({0, 3}), state);
  });
  expect_error(ErrorKind::usage, "mixture_scores: f64 streams are for the CPU backend", [&] {
    MixtureMeans wide;
    wide.mean = zeros({3, 4}, DType::f64);
    cuda::mixture_scores(zeros({2, 4}, DType::f64), wide, zeros({2, 3}, DType::f64), state);
  });
  means.permutation = zeros({2}, DType::i32);
  expect_error(ErrorKind::usage, "expected the inverse permutation of shape [2], got nothing", [&] {
    cuda::mixture_scores(z, means, zeros({2, 3}), state);
  });
  const Tensor per_sample = zeros({2}, DType::f64);
  expect_error(ErrorKind::usage, "mixture_losses: expected targets of shape [2, 3]", [&] {
    cuda::mixture_losses(zeros({2, 3}), per_sample, per_sample, zeros({2, 2}), 4, {}, {});
  });
  expect_error(
      ErrorKind::usage, "mixture_summary: expected cross_entropy of shape [2], got [3]", [&] {
        cuda::mixture_summary(per_sample, zeros({3}, DType::f64), {}, zeros({3}, DType::f64));
      });
}

}  // namespace
}  // namespace pal
