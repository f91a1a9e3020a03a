// TransferReport in words.
#include <fmt/format.h>

#include <algorithm>

#include "layers/models/transfer.h"

namespace pal {
namespace {

// How many blocks are named before the rest is counted.
constexpr size_t kMostNamed = 4;

std::string count_text(int64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1000000) return fmt::format("{:.1f} M", value / 1e6);
  if (count >= 10000) return fmt::format("{:.1f} k", value / 1e3);
  return std::to_string(count);
}

/// "blocks.3 (14 tensors), mu_mean and 5 more tensors", of names in the order of their blocks.
std::string blocks_text(const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, int64_t>> blocks;
  for (const std::string& name : names) {
    const std::string block = block_of_tensor(name);
    const std::string shown = block == "head" ? name : block;
    const auto at = std::ranges::find(blocks, shown, &std::pair<std::string, int64_t>::first);
    if (at == blocks.end())
      blocks.emplace_back(shown, 1);
    else
      ++at->second;
  }
  std::vector<std::string> parts;
  int64_t rest = 0;
  for (const auto& [block, count] : blocks) {
    if (parts.size() == kMostNamed)
      rest += count;
    else
      parts.push_back(count == 1 ? block : fmt::format("{} ({} tensors)", block, count));
  }
  if (rest > 0) parts.push_back(fmt::format("{} more tensors", rest));
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// Why class means or a linear layer are new, and for which classes.
std::string head_text(const TransferReport& report) {
  const char* const head = report.flow ? "the class means" : "the linear layer";
  if (report.classes_loaded > 0)
    return fmt::format("{} of {} of {} classes", head, report.classes - report.classes_loaded,
                       report.classes);
  if (report.same_classes) return fmt::format("{} (of another size in the file)", head);
  if (report.classes != report.classes_in_file)
    return fmt::format("{} ({} classes, the file has {})", head, report.classes,
                       report.classes_in_file);
  return fmt::format("{} (the file's {} classes have other names)", head, report.classes);
}

std::string new_text(const TransferReport& report) {
  std::vector<std::string> parts;
  std::vector<std::string> others;
  bool head = false;
  for (const std::string& name : report.made_new) {
    const bool class_rows = name == "mu_mean" || name == "fc.weight" || name == "fc.bias";
    if (class_rows)
      head = true;
    else if (report.new_latent_norm.empty() || block_of_tensor(name) != report.new_latent_norm)
      others.push_back(name);
  }
  if (head) parts.push_back(head_text(report));
  if (!report.new_latent_norm.empty()) {
    const int64_t here = report.image_size, file = report.image_size_in_file;
    parts.push_back(here == file
                        ? "the latent act norm"
                        : fmt::format("the latent act norm ({0}x{0} against {1}x{1})", here, file));
  }
  if (!others.empty()) parts.push_back(blocks_text(others));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string TransferReport::text() const {
  std::string text = fmt::format("loaded {} of {} tensors ({} of {} values) from {}", loaded.size(),
                                 loaded.size() + made_new.size(), count_text(values_loaded),
                                 count_text(values), path);
  if (classes_loaded > 0 && !same_classes)
    text += fmt::format("\nclasses by name: {} of {} (the file has {})", classes_loaded, classes,
                        classes_in_file);
  if (!made_new.empty()) text += "\nnew: " + new_text(*this);
  if (!left_out.empty()) text += "\nleft out of the file: " + blocks_text(left_out);
  for (const FieldDifference& each : differences)
    text += fmt::format("\n{}: {} in the file, {} here", each.field, each.in_file, each.here);
  if (inputs_differ) text += "\nmean and std of the inputs are not the file's";
  return text;
}

}  // namespace pal
