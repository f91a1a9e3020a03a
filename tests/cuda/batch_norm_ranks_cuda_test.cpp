// Batch norms on the GPU of rows that several ranks have.
#include <gtest/gtest.h>

#include "tests/cuda/batch_norm_case.h"

namespace pal::test::batch_norm {
namespace {

// One image of each rank, and on top of that all rows as the last rank's.
TEST(BatchNormCuda, RanksGiveTheStatisticsOfAllRows) {
  for (const Shape& shape : kShapes)
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const int64_t channels = shape.last();
      const int64_t width = 2 * channels + 1;
      const int64_t ranks = std::min<int64_t>(shape[0], 7) + 1;
      const Tensor x = random_tensor(shape, dtype, 5);
      // The sums are the CPU's: those of a GPU have tests of their own.
      std::vector<Tensor> shifts, sums;
      for (int64_t r = 0; r < ranks; ++r) {
        const Tensor mine = r + 1 < ranks ? x.slice_batch(r, 1) : x;
        shifts.push_back(mine.view_at(0, {channels}));
        sums.push_back(Tensor::zeros({2, channels}, DType::f64));
        cpu::batch_norm_sums(mine, shifts.back(), sums.back());
      }
      const auto rows = [&](int64_t r) { return r + 1 < ranks ? x.rows() / shape[0] : x.rows(); };
      const Tensor parts = Tensor::empty({ranks, width}, DType::f64);
      for (int64_t r = 0; r < ranks; ++r) {
        const auto i = static_cast<size_t>(r);
        cpu::batch_norm_part(sums[i], shifts[i], rows(r), parts.view_at(r * width, {width}));
      }
      const BatchStatistics wanted = statistics_on(Device(), channels);
      cpu::batch_norm_combine(parts, wanted);
      const auto all = run_schedules([&] {
        const Tensor found_parts = Tensor::empty({ranks, width}, DType::f64, Tag::data, gpu());
        for (int64_t r = 0; r < ranks; ++r) {
          const auto i = static_cast<size_t>(r);
          cuda::batch_norm_part(on_gpu(sums[i]), on_gpu(shifts[i]), rows(r),
                                found_parts.view_at(r * width, {width}));
        }
        const BatchStatistics found = statistics_on(gpu(), channels);
        cuda::batch_norm_combine(found_parts, found);
        return std::vector<Tensor>{found_parts, found.mean, found.inv_std, found.running_mean,
                                   found.running_var};
      });
      expect_close(parts, all[0], 1e-12, shape.str() + ", parts");
      expect_close(wanted.mean, all[1], 1e-6, shape.str() + ", mean");
      expect_close(wanted.inv_std, all[2], 1e-6, shape.str() + ", inv_std");
      expect_close(wanted.running_mean, all[3], 1e-6, shape.str() + ", running mean");
      expect_close(wanted.running_var, all[4], 1e-6, shape.str() + ", running variance");
    }
}

TEST(BatchNormCuda, SumsAreScaledToTheRowsOfARank) {
  for (const int64_t channels : {1, 3, 257}) {
    const Tensor totals = random_tensor({2 * channels + 1}, DType::f64, 5);
    set_value(totals, 2 * channels, 12.0);
    const auto found = run_schedules([&] {
      const Tensor copy = on_gpu(totals).clone();
      cuda::batch_norm_scale_sums(copy, 5);
      return std::vector<Tensor>{copy};
    });
    cpu::batch_norm_scale_sums(totals, 5);
    expect_close(totals, found[0], 1e-14, "sums");
  }
}

}  // namespace
}  // namespace pal::test::batch_norm
