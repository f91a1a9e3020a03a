// The bf16 copies of weights: as the weights are, whatever has changed them.
#include "autograd/weight_mirror.h"

#include <gtest/gtest.h>

#include "kernels/arrays/convert_parts.h"
#include "kernels/library/weight_copies.h"
#include "runtime/cuda_graph.h"
#include "tests/cuda/parity.h"

namespace pal::test {
namespace {

Tensor rounded(const Tensor& t) {
  const Tensor values = on_cpu(t);
  const Tensor result = Tensor::empty(values.shape(), DType::bf16);
  for (int64_t i = 0; i < values.numel(); ++i)
    result.data<bfloat16>()[i] = bfloat16(values.data<float>()[i]);
  return result;
}

/// Odd sizes, one of several parts, and means, which have no copy.
struct Weights {
  Weights() {
    StateList list;
    list.add("a", a);
    list.add("b", b);
    list.add("c", c);
    list.add("mu", means);
    store.materialise(list.parameters, DType::f32, 3);
    store.to(gpu());
  }
  /// Other values, as an optimizer or a loader puts them.
  void change(uint64_t seed) {
    store.all_values().copy_from(
        on_gpu(random_tensor(store.all_values().shape(), DType::f32, seed)));
    store.mark_changed();
  }
  void expect_copies(const std::string& what) {
    for (Parameter* p : {&a, &b, &c})
      expect_same(rounded(p->value), cuda::library_copy(p->value, p->shadow, DType::bf16),
                  what + " " + p->name);
  }

  Parameter a{{3}, Init::normal(1.0)};
  Parameter b{{5, 7, 7, 41}, Init::normal(1.0)};
  Parameter c{{2, 1, 1, 9}, Init::normal(1.0)};
  Parameter means{{3, 2}, Init::normal(1.0), ParameterGroup::means};
  ParameterStore store;
};

TEST(WeightMirrorCuda, FollowsTheWeights) {
  Weights w;
  WeightMirror mirror;
  mirror.refresh(w.store);
  EXPECT_FALSE(w.means.shadow.mirror.defined());
  for (const Parameter* p : {&w.a, &w.b, &w.c}) {
    expect_same(rounded(p->value), p->shadow.mirror, p->name);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p->shadow.mirror.raw()) % 16, 0U) << p->name;
  }
  w.change(5);
  w.expect_copies("each by itself");
  w.change(6);
  mirror.refresh(w.store);
  for (const Parameter* p : {&w.a, &w.b, &w.c})
    expect_same(rounded(p->value), p->shadow.mirror, p->name + " at once");
  w.expect_copies("at once");
}

TEST(WeightMirrorCuda, IsRecordedEvenIfItIsCurrent) {
  Weights w;
  WeightMirror mirror;
  mirror.refresh(w.store);
  CudaGraph graph;
  graph.capture([&] { mirror.refresh(w.store); });
  EXPECT_EQ(graph.nodes(), 1);
  w.change(5);
  graph.launch();
  for (const Parameter* p : {&w.a, &w.b, &w.c})
    expect_same(rounded(p->value), p->shadow.mirror, p->name);
}

TEST(WeightMirrorCuda, MovesWithTheStore) {
  Weights w;
  WeightMirror mirror;
  mirror.refresh(w.store);
  w.store.to(Device());
  mirror.refresh(w.store);
  w.store.to(gpu());
  w.change(7);
  mirror.refresh(w.store);
  w.expect_copies("moved");
}

TEST(ConvertPartsCuda, MatchesTheCpu) {
  const Tensor from = random_tensor({5000}, DType::f32, 1);
  const Tensor parts = Tensor::empty({3, 3}, DType::i32);
  const int32_t numbers[] = {3, 16, 4096, 4200, 0, 11, 4999, 4200, 1};
  std::copy(std::begin(numbers), std::end(numbers), parts.data<int32_t>());
  const Tensor wanted = Tensor::zeros({4300}, DType::bf16);
  cpu::convert_parts(from, parts, wanted);
  run_schedules([&] {
    const Tensor found = Tensor::zeros({4300}, DType::bf16, Tag::workspace, gpu());
    cuda::convert_parts(on_gpu(from), on_gpu(parts), found);
    expect_same(wanted, found, "converted");
    return std::vector<Tensor>{found};
  });
}

}  // namespace
}  // namespace pal::test
