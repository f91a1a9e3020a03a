#include "experiments/explain/dct_influence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/random_head.h"

namespace pal {
namespace {

TEST(DotProducts, OfAnySizes) {
  for (const int64_t length : {1, 7, 8, 400, 771})
    for (const int64_t rows : {1, 3, 4, 6}) {
      const auto a = testing::values_of(testing::random_tensor({rows, length}, DType::f64, 1));
      const auto b = testing::values_of(testing::random_tensor({5, length}, DType::f64, 2));
      std::vector<double> out(static_cast<size_t>(rows * 5), 99.0);
      dot_products(a.data(), rows, b.data(), 5, length, out.data());
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < 5; ++j)
          EXPECT_NEAR(out[static_cast<size_t>(i * 5 + j)],
                      std::inner_product(a.begin() + i * length, a.begin() + (i + 1) * length,
                                         b.begin() + j * length, 0.0),
                      1e-11);
    }
}

/// The spelled-out means of a head, [classes, D].
std::vector<std::vector<double>> spelled_out(const MixtureHead& head) {
  std::vector<std::vector<double>> means;
  for (int64_t y = 0; y < head.spec().classes; ++y)
    means.push_back(testing::values_of(head.class_mean(y)));
  return means;
}

TEST(DctInfluence, IsThatOfTheSpelledOutMeans) {
  for (const int64_t rank : {0, 1, 4}) {
    const testing::RandomHead h(rank);
    const DctInfluence influence(h.head);
    const auto means = spelled_out(h.head);
    const int64_t channels = h.head.spec().mean_dims, side = influence.side();
    const auto n = static_cast<double>(means.size());
    std::vector<double> expected;
    for (int64_t f = 0; f < side * side; ++f) {
      double sum = 0.0;
      for (int64_t d = f * channels; d < (f + 1) * channels; ++d) {
        double mean = 0.0, square = 0.0;
        for (const auto& each : means) mean += each[static_cast<size_t>(d)] / n;
        for (const auto& each : means)
          square += std::pow(each[static_cast<size_t>(d)] - mean, 2.0) / n;
        sum += std::sqrt(square);
      }
      expected.push_back(sum / static_cast<double>(channels));
      EXPECT_NEAR(influence.of(f % side, f / side), expected.back(), 1e-12) << "rank " << rank;
    }
    // Nearest means over the most telling components alone.
    std::vector<int64_t> order(expected.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
      return expected[static_cast<size_t>(a)] > expected[static_cast<size_t>(b)];
    });
    constexpr int64_t kImages = 60;
    const int64_t dims = h.head.spec().dims;
    const Tensor z = testing::random_tensor({kImages, dims}, DType::f64, 9);
    std::vector<int32_t> labels;
    for (int32_t i = 0; i < kImages; ++i) labels.push_back(i % 5);
    const std::vector<int64_t> kept = {1, 3, side * side};
    std::vector<int64_t> right;
    for (const int64_t k : kept) {
      int64_t count = 0;
      for (int64_t i = 0; i < kImages; ++i) {
        std::vector<double> squared;
        for (const auto& mean : means) {
          squared.push_back(0.0);
          for (int64_t j = 0; j < k; ++j)
            for (int64_t d = order[static_cast<size_t>(j)] * channels;
                 d < (order[static_cast<size_t>(j)] + 1) * channels; ++d)
              squared.back() +=
                  std::pow(z.data<double>()[i * dims + d] - mean[static_cast<size_t>(d)], 2.0);
        }
        if (std::ranges::min_element(squared) - squared.begin() == labels[static_cast<size_t>(i)])
          ++count;
      }
      right.push_back(count);
    }
    EXPECT_EQ(influence.count_right(z, labels, kept), right) << "rank " << rank;
    testing::expect_error(ErrorKind::usage, "60 images, 60 labels, up to", [&] {
      influence.count_right(z, labels, {3, 1});
    });
  }
}

}  // namespace
}  // namespace pal
