// Stems in parts on a GPU against the CPU: values, running statistics, gradients.
#include "autograd/norm_conv.h"

#include <gtest/gtest.h>

#include "kernels/library/platform.h"
#include "tests/cuda/parity.h"

namespace pal::test {
namespace {

constexpr int64_t kIn = 3;
constexpr int64_t kInner = 6;
constexpr int64_t kOut = 5;
const Shape kInput{5, 7, 6, kIn};

/// Stem 3x3, batch norm with ReLU, conv 3x3 of stride 2, with everything on one device.
struct Net {
  explicit Net(Device where) : device(where) {
    give(stem, {kInner, 3, 3, kIn}, 11);
    give(norm_weight, {kInner}, 12);
    give(norm_bias, {kInner}, 13);
    give(conv, {kOut, 3, 3, kInner}, 14);
    running_mean = Tensor::zeros({kInner}, DType::f32, Tag::data, device);
    running_var = Tensor::zeros({kInner}, DType::f32, Tag::data, device);
  }
  /// Made on the CPU whatever the scope.
  Tensor values(const Shape& shape, DType dtype, uint64_t key, double scale = 1.0) const {
    const DeviceScope scope{Device()};
    return random_tensor(shape, dtype, key, scale).to(device, Tag::data);
  }
  void give(Parameter& p, const Shape& shape, uint64_t key) const {
    p.shape = shape;
    p.value = values(shape, DType::f32, key, 0.5);
    p.grad = Tensor::zeros(shape, DType::f32, Tag::data, device);
  }

  /// y, the gradient of x and those of the parameters, and the running statistics.
  std::vector<Tensor> run(const StemMemory& memory, DType compute) {
    const DeviceScope scope(device);
    for (Parameter* p : {&stem, &norm_weight, &norm_bias, &conv}) p->grad.zero();
    NormRun run;
    run.args = {Tensor::empty({kInner}), Tensor::empty({kInner}), norm_weight.value,
                norm_bias.value};
    run.batch_statistics_used = true;
    run.measure.mean = run.args.mean;
    run.measure.inv_std = run.args.inv_std;
    run.measure.running_mean = running_mean;
    run.measure.running_var = running_var;
    const Variable x(values(kInput, DType::f32, 3), true);
    const Variable y =
        stem_norm_conv(x, {&stem, nullptr, {3, 1, 1}}, {&norm_weight, &norm_bias, true}, run,
                       {&conv, nullptr, {3, 2, 1}}, memory, compute);
    std::vector<Tensor> all = {y.value()};
    backward_from(y, values(y.value().shape(), compute, 21));
    for (const Tensor& t : {x.grad(), stem.grad, norm_weight.grad, norm_bias.grad, conv.grad,
                            running_mean, running_var})
      all.push_back(t.clone());
    return all;
  }

  Device device;
  Parameter stem, norm_weight, norm_bias, conv;
  Tensor running_mean, running_var;
};

TEST(NormConvCuda, StemsInPartsMatchTheCpu) {
  const char* names[] = {"y",         "grad x",    "grad stem",    "grad weight",
                         "grad bias", "grad conv", "running mean", "running var"};
  for (const DType compute : {DType::f32, DType::bf16}) {
    if (compute == DType::bf16 && !cpu_has_bf16()) continue;
    for (const bool lean : {false, true})
      for (const int64_t images : {0, 1, 2}) {
        const auto wanted = Net(Device()).run({lean, images}, compute);
        const auto found = Net(gpu()).run({lean, images}, compute);
        ASSERT_EQ(wanted.size(), found.size());
        for (size_t i = 0; i < wanted.size(); ++i)
          expect_close(wanted[i], found[i], compute == DType::bf16 ? 5e-2 : 1e-4,
                       std::string(names[i]) + " by " + std::to_string(images));
      }
  }
}

}  // namespace
}  // namespace pal::test
