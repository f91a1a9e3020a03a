#include "experiments/explain/position_head.h"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/explain/heatmap.h"
#include "kernels/resample/dct.h"
#include "tests/support/random_head.h"

namespace pal {
namespace {

/// A head with random means of some rank (0: full), and latent vectors.
struct Case : testing::RandomHead {
  explicit Case(int64_t rank) : RandomHead(rank) {
    z = testing::random_tensor({4, head.spec().dims}, DType::f64, 11);
  }
  PositionHead positions() const { return {head.means(), head.spec().dims, head.spec().mean_dims}; }

  Tensor z;
};

TEST(PositionHead, SumsToTheDistancesWhateverTheRank) {
  for (const int64_t rank : {0, 1, 4}) {
    const Case c(rank);
    const Tensor g = c.positions().log_densities(c.z);
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t y = 0; y < 5; ++y) {
        const Tensor mean = c.head.class_mean(y);
        double squared = 0.0;
        for (int64_t d = 0; d < c.z.size(1); ++d)
          squared +=
              std::pow(c.z.data<double>()[i * c.z.size(1) + d] - mean.data<double>()[d], 2.0);
        double sum = 0.0;
        for (int64_t p = 0; p < 9; ++p) sum += g.data<double>()[(i * 5 + y) * 9 + p];
        EXPECT_NEAR(sum, -0.5 * squared, 1e-10) << "rank " << rank;
      }
  }
}

/// The low-rank means are never spelled out; spelled out, they give the same map.
TEST(PositionHead, LowRankIsFullRankSpelledOut) {
  const Case c(3);
  MixtureMeans full;
  full.mean = Tensor::empty({5, 54}, DType::f64);
  for (int64_t y = 0; y < 5; ++y)
    full.mean.slice_batch(y, 1).copy_from(c.head.class_mean(y).reshape({1, 54}));
  const Tensor low = c.positions().log_densities(c.z);
  const Tensor spelled = PositionHead(full, 54, 6).log_densities(c.z);
  testing::expect_near(low, spelled, 1e-10, "g");
}

/// Positions are those of the map before pooling: its inverse is the rotation.
TEST(PositionHead, PositionsAreThoseOfTheFeatureMap) {
  const int64_t side = 4;
  MixtureMeans zero;
  zero.mean = Tensor::zeros({1, side * side * 2}, DType::f64);
  const Tensor map = Tensor::zeros({1, side, side, 2}, DType::f64);
  map.data<double>()[(1 * side + 3) * 2] = 3.0;  // row 1, column 3
  const Tensor z = Tensor::empty({1, side * side * 2}, DType::f64);
  cpu::dct_forward(map, z, {DctMap::Flavour::orthonormal, 0.5});
  const Tensor g = PositionHead(zero, side * side * 2, 2).log_densities(z);
  for (int64_t p = 0; p < side * side; ++p)
    EXPECT_NEAR(g.data<double>()[p], p == side + 3 ? -4.5 : 0.0, 1e-12) << p;
}

TEST(PositionMaps, SumToTheAnswer) {
  const Case c(2);
  const Tensor g = c.positions().log_densities(c.z);
  for (const Share share : {Share::contrast, Share::proportional, Share::even})
    for (int64_t i = 0; i < 4; ++i) {
      const PositionMaps maps({g.data<double>() + i * 45, 45}, 5, share);
      double total = 0.0;
      for (int32_t y = 0; y < 5; ++y) {
        double sum = 0.0;
        for (const double q : maps.posterior(y)) sum += q;
        EXPECT_NEAR(sum, maps.log_posterior()[static_cast<size_t>(y)], 1e-10);
        total += std::exp(sum);
      }
      EXPECT_NEAR(total, 1.0, 1e-10);
      const int32_t a = maps.order()[0], b = maps.order()[1];
      double odds = 0.0;
      for (const double e : maps.evidence(a, b)) odds += e;
      EXPECT_NEAR(odds,
                  maps.log_posterior()[static_cast<size_t>(a)] -
                      maps.log_posterior()[static_cast<size_t>(b)],
                  1e-10);
      EXPECT_GE(odds, 0.0);
    }
}

TEST(PositionHead, RefusesWhatIsNoMap) {
  MixtureMeans means;
  means.mean = Tensor::zeros({2, 24});
  testing::expect_error(ErrorKind::usage, "no square map", [&] { PositionHead(means, 24, 3); });
  testing::expect_error(ErrorKind::usage, "full-rank means of 24 dimensions, expected 27",
                        [&] { PositionHead(means, 27, 3); });
}

}  // namespace
}  // namespace pal
