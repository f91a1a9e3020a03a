#include <gtest/gtest.h>

#include "autograd/variable.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::tensor_with;
using testing::value_at;
using testing::values_of;

Tensor numbers(const std::vector<double>& values) {
  return tensor_with({static_cast<int64_t>(values.size())}, DType::f64, values);
}

/// y = factor x; counts its backward passes.
Variable scaled(const Variable& x, double factor, int* runs = nullptr) {
  const auto times = [](const Tensor& t, double by) {
    const Tensor result = t.clone();
    for (int64_t i = 0; i < t.numel(); ++i) testing::set_value(result, i, by * value_at(t, i));
    return result;
  };
  return record({x}, {times(x.value(), factor)}, false, [=](const Gradients& grads) -> Gradients {
    if (runs != nullptr) ++*runs;
    return {times(grads[0], factor)};
  })[0];
}

/// z = x + y.
Variable sum(const Variable& x, const Variable& y) {
  const Tensor z = x.value().clone();
  for (int64_t i = 0; i < z.numel(); ++i)
    testing::set_value(z, i, value_at(z, i) + value_at(y.value(), i));
  return record({x, y}, {z}, false, [](const Gradients& grads) -> Gradients {
    return {grads[0], grads[0]};
  })[0];
}

TEST(Tape, DiamondsRunEachNodeOnce) {
  const Variable x(numbers({1, 2}), true);
  int runs = 0;
  const Variable top = scaled(x, 2.0, &runs);
  const Variable z = sum(scaled(top, 3.0), scaled(top, 5.0));
  backward({z}, {numbers({1, -1})});
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(values_of(x.grad()), (std::vector<double>{16, -16}));
}

TEST(Tape, AVariableUsedTwiceGetsBothGradients) {
  const Variable x(numbers({3}), true);
  backward({sum(x, x)}, {numbers({7})});
  EXPECT_EQ(value_at(x.grad(), 0), 14.0);
  const Variable y(numbers({3}), true);
  backward({sum(y, scaled(y, 10.0))}, {numbers({1})});
  EXPECT_EQ(value_at(y.grad(), 0), 11.0);
}

TEST(Tape, GradientsAreNotSharedBetweenLeaves) {
  // Both leaves get the same tensor; adding to one of them must not change the other.
  const Variable x(numbers({1}), true);
  const Variable y(numbers({1}), true);
  const Variable z = sum(sum(x, y), scaled(x, 2.0));
  const Tensor seed = numbers({5});
  backward({z}, {seed});
  EXPECT_EQ(value_at(x.grad(), 0), 15.0);
  EXPECT_EQ(value_at(y.grad(), 0), 5.0);
  EXPECT_EQ(value_at(seed, 0), 5.0);
}

TEST(Tape, LeavesAccumulateOverPasses) {
  const Variable x(numbers({1}), true);
  for (int pass = 1; pass <= 3; ++pass) {
    backward({scaled(x, 4.0)}, {numbers({1})});
    EXPECT_EQ(value_at(x.grad(), 0), 4.0 * pass);
  }
}

TEST(Tape, SeveralRootsAndUnreachedOutputs) {
  const Variable x(numbers({1}), true);
  const auto two =
      record({x}, {numbers({0}), numbers({0})}, false, [](const Gradients& grads) -> Gradients {
        EXPECT_TRUE(grads[0].defined());
        EXPECT_FALSE(grads[1].defined());
        return {grads[0]};
      });
  backward({two[0], scaled(x, 10.0)}, {numbers({1}), numbers({1})});
  EXPECT_EQ(value_at(x.grad(), 0), 11.0);
}

TEST(Tape, UndefinedGradientsAddNothing) {
  const Variable x(numbers({1}), true);
  const Variable y =
      record({x}, {numbers({1})}, false, [](const Gradients&) -> Gradients { return {{}}; })[0];
  backward({y}, {numbers({1})});
  EXPECT_FALSE(x.grad().defined());
}

TEST(Tape, ServesOneBackwardPass) {
  const Variable x(numbers({1}), true);
  const Variable y = scaled(x, 2.0);
  backward({y}, {numbers({1})});
  expect_error(ErrorKind::usage, "this tape was differentiated before",
               [&] { backward({y}, {numbers({1})}); });
}

TEST(Tape, WrongGradientsAreRefused) {
  const Variable x(numbers({1, 2}), true);
  expect_error(ErrorKind::usage, "gradient [3] for a value [2]", [&] {
    backward({scaled(x, 2.0)}, {numbers({1, 2, 3})});
  });
  expect_error(ErrorKind::usage, "one gradient per root", [&] { backward({scaled(x, 2.0)}, {}); });
}

TEST(Tape, RecordsOnlyWhatNeedsAGradient) {
  const Variable constant(numbers({1}));
  EXPECT_FALSE(scaled(constant, 2.0).requires_grad());
  const auto with_parameters =
      record({constant}, {numbers({1})}, true, [](const Gradients&) -> Gradients { return {}; });
  EXPECT_TRUE(with_parameters[0].requires_grad());
}

TEST(Tape, GuardsSwitchRecording) {
  const Variable x(numbers({1}), true);
  EXPECT_TRUE(grad_enabled());
  {
    const NoGradGuard off;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(scaled(x, 2.0).requires_grad());
    {
      const EnableGradGuard on;
      EXPECT_TRUE(scaled(x, 2.0).requires_grad());
    }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE(grad_enabled());
}

TEST(Tape, GradientsCanBeRedirected) {
  const Tensor target = numbers({100});
  const Variable x(numbers({1}), true);
  const Variable y = scaled(x, 3.0);
  x.redirect_grad(target);
  backward({y}, {numbers({2})});
  EXPECT_EQ(value_at(target, 0), 106.0);
  EXPECT_FALSE(x.grad().defined());
  const Variable unwanted(numbers({1}), true);
  const Variable z = scaled(unwanted, 3.0);
  unwanted.redirect_grad({});
  backward({z}, {numbers({2})});
  EXPECT_FALSE(unwanted.grad().defined());
}

int64_t bytes_in_use() { return Allocator::cpu().stats().current_of(Tag::subnet); }

/// Keeps a mebibyte for its backward pass.
Variable keeping(const Variable& x) {
  const Tensor saved = Tensor::empty({1 << 20}, DType::u8, Tag::subnet);
  return record({x}, {x.value()}, false,
                [saved](const Gradients& grads) -> Gradients { return {grads[0]}; })[0];
}

TEST(Tape, ReleasesWhatItSavedAsItRuns) {
  const int64_t before = bytes_in_use();
  const Variable x(numbers({1}), true);
  int64_t at_the_end = -1;
  const Variable first =
      record({x}, {numbers({1})}, false, [&](const Gradients& grads) -> Gradients {
        at_the_end = bytes_in_use() - before;
        return {grads[0]};
      })[0];
  Variable last = first;
  for (int i = 0; i < 5; ++i) last = keeping(last);
  EXPECT_EQ(bytes_in_use() - before, 5 << 20);
  backward({last}, {numbers({1})});
  // All five were gone when the first node ran, although the variables still live.
  EXPECT_EQ(at_the_end, 0);
  EXPECT_EQ(bytes_in_use(), before);
  EXPECT_TRUE(x.grad().defined());
}

TEST(Tape, ADroppedValueIsMadeAgainOnceAndReleasedWithItsUser) {
  const int64_t before = bytes_in_use();
  const auto large = [] { return Tensor::zeros({1 << 20}, DType::u8, Tag::subnet); };
  int made = 0;
  int64_t in_its_node = -1;
  const Variable x(numbers({1}), true);
  Variable y;
  {
    const Variable middle = record({x}, {large()}, false, [&](const Gradients&) -> Gradients {
      in_its_node = bytes_in_use() - before;
      return {numbers({5})};
    })[0];
    y = record({middle}, {numbers({1})}, false, [middle](const Gradients&) -> Gradients {
      EXPECT_EQ(middle.value().data<uint8_t>(), middle.value().data<uint8_t>());
      return {Tensor::zeros({1 << 20}, DType::u8, Tag::workspace)};
    })[0];
    EXPECT_EQ(bytes_in_use() - before, 1 << 20);
    middle.drop_value([&] {
      ++made;
      return large();
    });
  }
  EXPECT_EQ(bytes_in_use(), before);
  EXPECT_EQ(made, 0);
  backward({y}, {numbers({1})});
  EXPECT_EQ(made, 1);
  EXPECT_EQ(value_at(x.grad(), 0), 5.0);
  EXPECT_EQ(in_its_node, 0);
}

TEST(Tape, ADroppedValueCanBeGivenBack) {
  const Variable x(numbers({1}), true);
  const Variable y = record({x}, {numbers({2})}, false, [x](const Gradients& grads) -> Gradients {
    return {scaled(Variable(grads[0]), value_at(x.value(), 0)).value()};
  })[0];
  x.drop_value();
  EXPECT_FALSE(x.value().defined());
  x.set_value(numbers({7}));
  backward({y}, {numbers({2})});
  EXPECT_EQ(value_at(x.grad(), 0), 14.0);
}

TEST(Tape, AnErrorInABackwardPassLeaksNothing) {
  const int64_t before = bytes_in_use();
  {
    const Variable x(numbers({1}), true);
    const Variable broken =
        record({keeping(x)}, {numbers({1})}, false,
               [](const Gradients&) -> Gradients { fail(ErrorKind::numerics, "broken"); })[0];
    const Variable y = sum(keeping(broken), broken);
    expect_error(ErrorKind::numerics, "broken", [&] { backward({y}, {numbers({1})}); });
  }
  EXPECT_EQ(bytes_in_use(), before);
}

TEST(Tape, AnUnusedTapeIsReleasedWithItsVariables) {
  const int64_t before = bytes_in_use();
  {
    const Variable x(numbers({1}), true);
    const Variable y = keeping(keeping(x));
    EXPECT_EQ(bytes_in_use() - before, 2 << 20);
  }
  EXPECT_EQ(bytes_in_use(), before);
}

}  // namespace
}  // namespace pal
