#pragma once
#include "kernels/norm/batch_norm_check.h"
#include "kernels/norm/batch_norm_math.h"
#include "kernels/product/tensor_core.cuh"

// Rows on their way from global to shared memory: eight channels at a time, read in accesses of 16
// bytes, normalised, rounded to bf16.
namespace pal::cuda {

/// Channels that a thread moves at a time.
inline constexpr int kGroup = 8;

/// Eight neighbouring channels as they are read.
template <typename T>
struct GroupOf {
  static constexpr int kParts = kGroup / kVectorWidth<T>;
  Vec<T, kVectorWidth<T>> part[kParts];

  __device__ float at(int k) const {
    return static_cast<float>(part[k / kVectorWidth<T>].at[k % kVectorWidth<T>]);
  }
};

/// Reads eight channels from an address that is a multiple of 16 bytes.
template <typename T>
__device__ inline GroupOf<T> load_group(const T* from) {
  GroupOf<T> group;
#pragma unroll
  for (int i = 0; i < GroupOf<T>::kParts; ++i)
    group.part[i] = load_vector<kVectorWidth<T>>(from + i * kVectorWidth<T>);
  return group;
}

/// Eight values in bf16, as they lie in shared memory.
__device__ inline void store_group(bfloat16* to, const uint4& words) {
  *reinterpret_cast<uint4*>(to) = words;
}

/// Eight bf16 values as they are.
__device__ inline uint4 words_of(const GroupOf<bfloat16>& group) {
  const auto word = [&](int i) {
    return pack(group.part[0].at[2 * i], group.part[0].at[2 * i + 1]);
  };
  return make_uint4(word(0), word(1), word(2), word(3));
}

/// The numbers of y = (x - mean) slope + bias for four channels.
struct QuadAffine {
  Vec<float, 4> mean, slope, bias;
};

/// Normalised values kFirst to kFirst + 3 of a group, rounded.
template <int kFirst, typename X>
__device__ inline uint2 normalised_words(const GroupOf<X>& x, const QuadAffine& affine,
                                         float floor) {
  const auto value = [&](int k) {
    return batch_norm_math::rectified(
        batch_norm_math::normalised(x.at(kFirst + k) - affine.mean.at[k], affine.slope.at[k],
                                    affine.bias.at[k]),
        floor);
  };
  return make_uint2(pack(value(0), value(1)), pack(value(2), value(3)));
}

/// x, and the batch norm that is applied to it.
template <typename X>
struct NormalisedRows {
  const X* x;
  int64_t pitch;  ///< elements from one row to the next
  int64_t rows;
  int channels;  ///< a multiple of kGroup
  const float* mean;
  const float* inv_std;
  const float* weight;
  const float* bias;
  float floor;  ///< the least normalised value

  /// What a thread reads of a row; anything beyond the last row or channel.
  __device__ GroupOf<X> load(int64_t row, int channel) const {
    if (row >= rows || channel >= channels) return {};
    return load_group(x + row * pitch + channel);
  }
};

/// The rows of a tensor that has_norm_product takes.
template <typename X>
NormalisedRows<X> normalised_rows(const Tensor& x, const BatchNormArgs& norm, bool relu) {
  return {x.data<X>(),
          x.pitch(),
          x.rows(),
          static_cast<int>(x.channels()),
          norm.mean.data<float>(),
          norm.inv_std.data<float>(),
          norm.weight.data<float>(),
          norm.bias.data<float>(),
          least_result<float>(relu)};
}

}  // namespace pal::cuda
