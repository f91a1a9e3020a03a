#include "layers/models/import_flow_config.h"

#include <algorithm>
#include <cmath>

#include "layers/models/published_layout.h"

namespace pal {
namespace {

constexpr size_t kMostStages = 8;
constexpr int64_t kMostChannels = 64;

class Inference {
 public:
  explicit Inference(const ImportTensors& tensors) : tensors_(tensors) {}

  PublishedFlow run() {
    // What the file does not tell is as in the published networks.
    flow_.config = preset("ibinn-imagenet");
    const int64_t first = infer_entry();
    const int64_t end = infer_stages(first);
    infer_head();
    check_image_size(end);
    infer_mixing(end);
    const ModelConfig standard = preset("ibinn-imagenet");
    if (field_text(flow_.config, "blocks") != field_text(standard, "blocks") ||
        flow_.config.widths != standard.widths || flow_.config.strides != standard.strides ||
        flow_.config.image_size != standard.image_size)
      flow_.config.arch = "ibinn";
    return std::move(flow_);
  }

 private:
  static std::string name(int64_t block, const std::string& rest) {
    return fmt::format("{}{}.{}", kPublishedBlocks, block, rest);
  }
  bool has(int64_t block, const std::string& rest) const {
    return tensors_.contains(name(block, rest));
  }
  int64_t extent(int64_t block, const std::string& rest, size_t axis) const {
    return tensors_.extent(name(block, rest), axis);
  }
  int64_t channels_of(int64_t block) const { return tensors_.get(name(block, "act_norm")).numel(); }
  bool is_coupling(int64_t block) const { return has(block, "act_norm"); }
  bool is_downsampling(int64_t block) const { return has(block, "s_hi.2.weight"); }

  /// The block at which the first stage begins.
  int64_t infer_entry() {
    ModelConfig& config = flow_.config;
    const bool is_haar = has(1, "haar_weights");
    config.entry = is_haar ? EntryKind::haar : EntryKind::entry;
    // Four values a channel are one pixel each of four channels.
    const int64_t raised = is_haar ? extent(1, "haar_weights", 0) : channels_of(1);
    config.channels = raised / 4;
    if (raised % 4 != 0 || config.channels < 1 || config.channels > kMostChannels)
      tensors_.refuse(name(1, is_haar ? "haar_weights" : "act_norm"),
                      "expected four times 1 to {} channels, found {}", kMostChannels, raised);
    if (is_haar) return 2;
    config.entry_width = extent(1, "s_hi.0.weight", 0);
    config.entry_7x7 = extent(1, "s_hi.0.weight", 2) == 7;
    return 4;
  }

  /// The block after the last coupling.
  int64_t infer_stages(int64_t first) {
    ModelConfig& config = flow_.config;
    config.blocks.clear();
    config.strides.clear();
    config.widths.clear();
    std::string plain = "s";
    int64_t block = first;
    for (; is_coupling(block); ++block) {
      const bool down = is_downsampling(block);
      if (!down && has(block, "s1.0.weight")) plain = "s1";
      const std::string subnet = down ? "s_hi" : plain;
      if (block == first)
        config.subnet =
            has(block, subnet + ".11.weight") ? SubnetKind::bottleneck : SubnetKind::basic;
      // Layer 2 is the first convolution of either subnet and has the stage's width.
      const int64_t width = extent(block, subnet + ".2.weight", 0);
      if (config.blocks.empty() || down || width != config.widths.back()) {
        config.blocks.push_back(1);
        config.strides.push_back(down ? 2 : 1);
        config.widths.push_back(width);
      } else {
        ++config.blocks.back();
      }
      if (config.blocks.size() > kMostStages)
        tensors_.refuse(name(block, subnet + ".2.weight"), "begins stage {}, expected at most {}",
                        config.blocks.size(), kMostStages);
    }
    if (config.blocks.empty()) tensors_.get(name(first, "act_norm"));
    config.coupling = plain == "s" ? CouplingKind::slow : CouplingKind::glow;
    return block;
  }

  int64_t halvings() const {
    return (flow_.config.entry == EntryKind::entry ? 2 : 1) +
           std::ranges::count(flow_.config.strides, 2);
  }

  void infer_head() {
    ModelConfig& config = flow_.config;
    flow_.mean_dims = config.channels << (2 * halvings());
    const size_t mu_rank = tensors_.get("mu").shape.size();
    if (mu_rank < 2) tensors_.refuse("mu", "expected (1, classes, dimensions)");
    config.classes = tensors_.extent("mu", mu_rank - 2);
    config.rank = 0;
    int64_t dims = tensors_.extent("mu", mu_rank - 1);
    if (tensors_.contains("mu_t") || tensors_.contains("mu_m")) {
      config.rank = tensors_.extent("mu_t", 1);
      dims = flow_.mean_dims + tensors_.extent("mu_m", 1);
    } else if (tensors_.contains("mu_conv")) {
      const size_t last = tensors_.get("mu_conv").shape.size() - 1;
      dims = flow_.mean_dims + tensors_.extent("mu_conv", last);
    }
    config.image_size =
        std::llround(std::sqrt(static_cast<double>(dims) / static_cast<double>(config.channels)));
    if (dims < 1 || config.image_size * config.image_size * config.channels != dims)
      tensors_.refuse(config.rank > 0 ? "mu_m" : "mu",
                      "{} latent dimensions make no square image of {} channels", dims,
                      config.channels);
  }

  /// The matrices of the DCT, if they are there, tell the size of the last maps.
  void check_image_size(int64_t end) const {
    for (int64_t block = end; block < end + 8; ++block) {
      if (!has(block, "weight")) continue;
      const int64_t size = extent(block, "weight", 0);
      if (size << halvings() != flow_.config.image_size)
        tensors_.refuse(name(block, "weight"), "a DCT of {0} x {0} maps, but the means are for {1}",
                        size, flow_.config.image_size >> halvings());
    }
  }

  void infer_mixing(int64_t end) {
    ModelConfig& config = flow_.config;
    config.mixing = MixingKind::permutation;
    for (int64_t block = 1; block < end; ++block) {
      if (!is_coupling(block)) continue;
      if (has(block, "vk_householder")) {
        config.mixing = MixingKind::householder;
        config.reflections = extent(block, "vk_householder", 0);
        return;
      }
      std::vector<int32_t> index = permutation(block);
      if (index.empty()) {
        config.mixing = MixingKind::orthogonal;
        return;
      }
      flow_.permutations.emplace(name(block, "w_index"), std::move(index));
    }
  }

  std::vector<int32_t> permutation(int64_t block) const {
    const int64_t channels = channels_of(block);
    if (has(block, "w_index")) return tensors_.index(name(block, "w_index"), channels);
    const std::string matrix = name(block, "w");
    const SourceTensor& w = tensors_.get(matrix);
    if (w.numel() != channels * channels)
      tensors_.refuse(matrix, "expected [{0}, {0}, 1, 1], found [{1}]", channels,
                      fmt::join(w.shape, ", "));
    return permutation_of(tensors_.floats(matrix), channels);
  }

  const ImportTensors& tensors_;
  PublishedFlow flow_;
};

}  // namespace

PublishedFlow infer_published_flow(const ImportTensors& tensors) {
  return Inference(tensors).run();
}

}  // namespace pal
