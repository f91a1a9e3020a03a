#include "bench/libtorch/network.h"

namespace rival {

BlockResult Network::forward(const at::Tensor& images, const Pass& pass) const {
  BlockResult all{images, {}};
  for (const auto& block : blocks_) {
    BlockResult next = block->forward(all.y, pass);
    all = {next.y, sum_of(all.log_det, next.log_det)};
  }
  return all;
}

}  // namespace rival
