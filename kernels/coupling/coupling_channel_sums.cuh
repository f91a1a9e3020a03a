#pragma once
#include "kernels/coupling/coupling_tile.cuh"

// Sums over pixels by channel: the gradients of act norm's scale and offset, and of the factors.
//
// Data flow: a thread adds what it has seen of its channels in a tile to running sums at a place of
// its own, [lane, channel]; after a group of tiles `fold` adds the lanes and writes the group's
// sums; a second launch (finish_channel_sums) adds those of all groups, in double.
// Memory: running sums lie in shared memory behind the staged rows or, if they do not fit, in
// global memory, a part for each group.
// The trick: as every place has one owner, no barrier and no atomic is needed before the fold; and
// as the gradient of t is t_gain scale grad y, its sum follows from that of grad y.
namespace pal::cuda::coupling {

/// Running sums of a block, in planes [pixel lanes, channels]: for each half two, of grad v and of
/// grad v * v, the active half first; and one of the gradients of s.
struct SumLayout {
  int active_lanes;
  int passive_lanes;
  int active;
  int passive;

  PAL_HD explicit SumLayout(const Geometry& g)
      : active_lanes(g.active_split.lanes),
        passive_lanes(g.passive_split.lanes),
        active(g.active),
        passive(g.passive) {}

  PAL_HD int active_floats() const { return 2 * active_lanes * active; }
  /// Of both halves.
  PAL_HD int floats() const { return active_floats() + 2 * passive_lanes * passive; }
  /// Of the gradients of s.
  PAL_HD int factor_floats() const { return active_lanes * active; }
};

/// Planes of running sums; null where none are wanted.
class ChannelSums {
 public:
  __device__ ChannelSums(float* running, bool first) : running_(running), first_(first) {}

  __device__ bool wanted() const { return running_ != nullptr; }

  /// Adds a tile's sums of the channels from `channel` on, by the thread that owns them, to a plane
  /// of `channels`. In the group's first tile every owner puts its sums, so nothing need be cleared.
  template <int kWidth>
  __device__ void add(const Share& share, int plane, int channels, int channel,
                      Vec<float, kWidth> sum) const {
    if (!wanted()) return;
    float* to = running_ + (plane * share.split.lanes + share.lane) * channels + channel;
    if (!first_) {
      const auto old = load_vector<kWidth>(to);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) sum.at[k] += old.at[k];
    }
    store_vector_anywhere<kWidth>(to, sum);
  }

 private:
  float* running_;
  bool first_;
};

/// Adds the pixel lanes of one or two planes and calls put(plane, channel, sum) for each sum, in one
/// thread. All threads of the block must call it.
template <typename Put>
__device__ inline void fold(const float* running, int planes, int lanes, int channels,
                            const Put& put) {
  // Several threads share a sum of many lanes.
  constexpr int kShare = 8;
  const int share = lanes < kShare ? 1 : kShare;
  const int threads = static_cast<int>(blockDim.x);
  const int rank = static_cast<int>(threadIdx.x) % share;
  for (int begin = 0; begin < planes * channels; begin += threads / share) {
    const int i = begin + static_cast<int>(threadIdx.x) / share;
    const int plane = i < channels ? 0 : 1;
    const int c = i - plane * channels;
    double sum = 0.0;
    if (i < planes * channels) {
#pragma unroll 2
      for (int lane = rank; lane < lanes; lane += share)
        sum += static_cast<double>(running[(plane * lanes + lane) * channels + c]);
    }
    if (share > 1) {
#pragma unroll
      for (int distance = kShare / 2; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(0xffffffffU, sum, distance);
    }
    if (i < planes * channels && rank == 0) put(plane, c, sum);
  }
}

}  // namespace pal::cuda::coupling
