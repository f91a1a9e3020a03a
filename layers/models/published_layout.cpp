#include "layers/models/published_layout.h"

namespace pal {
namespace {

/// A row of the table: our name, or the last part of the name of a tensor of a block.
struct LayoutRow {
  std::string_view ours;
  std::string_view published;
  PublishedForm form;
};

constexpr std::array<LayoutRow, 4> kLayoutHead = {{{"mu_mean", "mu", PublishedForm::means},
                                                   {"mu_alpha", "mu_t", PublishedForm::plain},
                                                   {"mu_prototypes", "mu_m", PublishedForm::plain},
                                                   {"head_permutation", "", PublishedForm::fixed}}};
/// Those of blocks that are not plain: all else is as it is, under the same name.
constexpr std::array<LayoutRow, 4> kLayoutParts = {
    {{"act_norm", "act_norm", PublishedForm::channels},
     {"act_offset", "act_offset", PublishedForm::channels},
     {"w", "w", PublishedForm::matrix},
     {"w_index", "w", PublishedForm::index}}};
constexpr std::string_view kLayoutBlocks = "blocks.";

}  // namespace

PublishedTensor published_tensor(const std::string& ours) {
  for (const LayoutRow& row : kLayoutHead)
    if (ours == row.ours) return {std::string(row.published), row.form};
  if (!ours.starts_with(kLayoutBlocks)) return {ours, PublishedForm::plain};
  const size_t last = ours.rfind('.') + 1;
  const std::string before = std::string(kPublishedBlocks) +
                             ours.substr(kLayoutBlocks.size(), last - kLayoutBlocks.size());
  const std::string part = ours.substr(last);
  for (const LayoutRow& row : kLayoutParts)
    if (part == row.ours) return {before + std::string(row.published), row.form};
  return {before + part, PublishedForm::plain};
}

}  // namespace pal
