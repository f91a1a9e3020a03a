#pragma once
#include "kernels/coupling/coupling_tile.cuh"

// Sums over pixels by channel: the gradients of act norm's scale and offset.
//
// Data flow: a thread adds what it has seen of its channels in a tile to running sums at a place of
// its own, [lane, channel]; after a group of tiles `fold` adds the lanes and writes the group's
// sums; a second launch (finish_channel_sums) adds those of all groups, in double.
// Memory: running sums lie in shared memory behind the staged rows or, if they do not fit, in
// global memory, a part for each group.
// The trick: as every place has one owner, no barrier and no atomic is needed before the fold.
namespace pal::cuda::coupling {

/// Running sums of a block: for each half two planes [pixel lanes, channels], of grad v and of
/// grad v * v; the active half first.
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
  PAL_HD int floats() const { return active_floats() + 2 * passive_lanes * passive; }
};

/// The running sums of one half; null where none are wanted.
class ChannelSums {
 public:
  __device__ ChannelSums(float* running, bool first) : running_(running), first_(first) {}

  __device__ bool wanted() const { return running_ != nullptr; }

  /// Adds a tile's sums of the channels from `channel` on, by the thread that owns them. In the
  /// group's first tile every owner puts its sums, so nothing need be cleared.
  template <int kWidth>
  __device__ void add(const Share& share, int channels, int channel, Vec<float, kWidth> g,
                      Vec<float, kWidth> gv) const {
    if (!wanted()) return;
    float* to_g = running_ + share.lane * channels + channel;
    float* to_gv = to_g + share.split.lanes * channels;
    if (!first_) {
      const auto old_g = load_vector<kWidth>(to_g);
      const auto old_gv = load_vector<kWidth>(to_gv);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        g.at[k] += old_g.at[k];
        gv.at[k] += old_gv.at[k];
      }
    }
    store_vector<kWidth>(to_g, g);
    store_vector<kWidth>(to_gv, gv);
  }

 private:
  float* running_;
  bool first_;
};

/// Adds the pixel lanes of one half's planes and writes the sum of grad v of channel c to to[c] and
/// that of grad v * v to to[plane + c]. All threads of the block must call it.
__device__ inline void fold(const float* running, int lanes, int channels, float* to, int plane) {
  // Several threads share a sum of many lanes.
  constexpr int kShare = 8;
  const int share = lanes < kShare ? 1 : kShare;
  const int threads = static_cast<int>(blockDim.x);
  const int rank = static_cast<int>(threadIdx.x) % share;
  for (int begin = 0; begin < 2 * channels; begin += threads / share) {
    const int i = begin + static_cast<int>(threadIdx.x) / share;
    const int which = i < channels ? 0 : 1;
    const int c = i - which * channels;
    double sum = 0.0;
    if (i < 2 * channels) {
#pragma unroll 2
      for (int lane = rank; lane < lanes; lane += share)
        sum += static_cast<double>(running[(which * lanes + lane) * channels + c]);
    }
    if (share > 1) {
#pragma unroll
      for (int distance = kShare / 2; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(0xffffffffU, sum, distance);
    }
    if (i < 2 * channels && rank == 0) to[which * plane + c] = static_cast<float>(sum);
  }
}

}  // namespace pal::cuda::coupling
