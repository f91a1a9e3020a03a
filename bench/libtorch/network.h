#pragma once
#include <memory>
#include <vector>

#include "bench/libtorch/block.h"
#include "bench/libtorch/network_config.h"

namespace rival {

/// Blocks in a row and a head on the last one's output.
class Network {
 public:
  explicit Network(const Settings& settings) : settings_(settings) {}
  virtual ~Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const std::vector<std::unique_ptr<Block>>& blocks() const { return blocks_; }
  /// All blocks one after the other.
  BlockResult forward(const at::Tensor& images, const Pass& pass) const;
  /// Class scores [n, classes] of the last block's output.
  virtual at::Tensor scores(const at::Tensor& top) const = 0;
  /// Mean training loss; labels int64 [n].
  virtual at::Tensor loss(const BlockResult& top, const at::Tensor& labels) const = 0;

 protected:
  void add(std::unique_ptr<Block> block) { blocks_.push_back(std::move(block)); }
  const Settings& settings() const { return settings_; }

 private:
  Settings settings_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

std::unique_ptr<Network> make_ib_inn(Weights& weights, const NetworkConfig& config);
std::unique_ptr<Network> make_resnet(Weights& weights, const NetworkConfig& config);

}  // namespace rival
