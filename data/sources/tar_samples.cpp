#include "data/sources/tar_samples.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>

#include "data/archives/tar_reader.h"
#include "data/sources/tar_labels.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

enum class Part { picture, cls, json, other };

struct SplitName {
  std::string_view key;
  Part part = Part::other;
};

/// KEY and what the rest says.
SplitName split_name(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  const size_t dot = name.find('.', base);
  if (dot == std::string_view::npos || dot == base) return {};
  std::string suffix(name.substr(dot + 1));
  for (char& c : suffix)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const std::string_view key = name.substr(0, dot);
  if (suffix == "jpg" || suffix == "jpeg" || suffix == "png") return {key, Part::picture};
  if (suffix == "cls") return {key, Part::cls};
  if (suffix == "json") return {key, Part::json};
  return {key, Part::other};
}

/// Gathers the members of one sample after another.
class SampleCollector {
 public:
  explicit SampleCollector(const RandomReader& archive) : archive_(archive), reader_(archive) {}

  TarSamples collect() {
    TarMember member;
    while (reader_.next(member)) {
      if (member.is_file) ++samples_.members;
      const SplitName split = split_name(member.name);
      if (split.key.empty()) continue;
      if (split.key != key_) {
        finish_sample();
        key_ = split.key;
      }
      if (member.is_file)
        add(member, split.part);
      else
        absent_[static_cast<size_t>(split.part)] = true;
    }
    finish_sample();
    if (samples_.count() == 0)
      fail(ErrorKind::data,
           "{}: no sample{}; expected KEY.jpg (or .jpeg, .png) and KEY.cls or .json side by side",
           where(0), left_out_ == 0 ? "" : " that is not a link to elsewhere");
    refuse_repeated_keys();
    for (const std::string& warning : reader_.warnings())
      samples_.warnings.push_back(archive_.name() + ": " + warning);
    if (left_out_ > 0)
      samples_.warnings.push_back(
          fmt::format("{}: {} sample{} left out, whose picture or label is such", archive_.name(),
                      left_out_, left_out_ == 1 ? "" : "s"));
    return std::move(samples_);
  }

 private:
  std::string where(int64_t offset) const { return fmt::format("{}:{}", archive_.name(), offset); }

  void add(const TarMember& member, Part part) {
    switch (part) {
      case Part::picture:
        refuse_second(picture_.has_value(), member);
        picture_ = member;
        break;
      case Part::cls:
        refuse_second(cls_.has_value(), member);
        cls_ = parse_cls(reader_.content(member), where(member.begin));
        cls_at_ = member.header;
        break;
      case Part::json: {
        refuse_second(json_.has_value(), member);
        json_ = member;
        // Kept until the sample is whole: beside a .cls it need not hold a label.
        const auto content = reader_.content(member);
        json_text_.assign(content.begin(), content.end());
        break;
      }
      case Part::other:
        break;
    }
  }

  void refuse_second(bool found, const TarMember& member) const {
    if (found)
      fail(ErrorKind::data, "{}: {} is the second of its kind with the same key",
           where(member.header), one_line(member.name));
  }

  /// Whether a part that the sample needs is a link or the like.
  bool lacks_part() const {
    const auto is_absent = [&](Part part) { return absent_[static_cast<size_t>(part)]; };
    if (is_absent(Part::picture) && !picture_) return true;
    return !cls_ && (is_absent(Part::cls) || (is_absent(Part::json) && !json_));
  }

  void finish_sample() {
    if (lacks_part()) {
      ++left_out_;
    } else if (picture_) {
      const int32_t label = label_of_sample();
      samples_.pictures.add(picture_->name);
      samples_.begins.push_back(picture_->begin);
      samples_.sizes.push_back(picture_->size);
      samples_.labels.push_back(label);
      headers_.push_back(picture_->header);
    } else if (cls_) {
      fail(ErrorKind::data, "{}: {}.cls is a label without picture", where(cls_at_),
           one_line(key_));
    }
    key_.clear();
    picture_.reset();
    cls_.reset();
    json_.reset();
    json_text_.clear();
    absent_ = {};
  }

  int32_t label_of_sample() const {
    if (cls_) return *cls_;
    if (!json_)
      fail(ErrorKind::data, "{}: {} has no label; expected {}.cls or .json beside it",
           where(picture_->header), one_line(picture_->name), one_line(key_));
    if (json_->size > TarReader::kMostContent)
      fail(ErrorKind::data, "{}: {} has {} bytes, expected at most {}", where(json_->header),
           one_line(json_->name), json_->size, TarReader::kMostContent);
    return parse_json_label(json_text_, where(json_->begin));
  }

  void refuse_repeated_keys() const {
    std::vector<int64_t> order(static_cast<size_t>(samples_.count()));
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto key = [&](int64_t i) { return split_name(samples_.pictures[i]).key; };
    std::ranges::stable_sort(order, {}, key);
    const auto twin = std::ranges::adjacent_find(order, {}, key);
    if (twin == order.end()) return;
    fail(ErrorKind::data, "{}: the key {} comes twice, first at {}",
         where(headers_[static_cast<size_t>(*(twin + 1))]), one_line(key(*twin)),
         headers_[static_cast<size_t>(*twin)]);
  }

  const RandomReader& archive_;
  TarReader reader_;
  TarSamples samples_;
  std::vector<int64_t> headers_;  ///< of the pictures
  std::string key_;
  std::optional<TarMember> picture_;
  std::optional<int32_t> cls_;
  int64_t cls_at_ = 0;
  std::optional<TarMember> json_;
  std::vector<uint8_t> json_text_;
  std::array<bool, 4> absent_{};  ///< parts of the sample that are no files
  int64_t left_out_ = 0;          ///< samples that lack a part so
};

}  // namespace

TarSamples parse_tar(const RandomReader& archive) { return SampleCollector(archive).collect(); }

TarSummary inspect_tar(std::span<const uint8_t> bytes, const std::string& name) {
  TarSamples samples = parse_tar(MemoryReader(bytes, name));
  const auto largest = std::ranges::max_element(samples.labels);
  return {samples.count(), samples.members, largest == samples.labels.end() ? 0 : *largest + 1,
          std::move(samples.warnings)};
}

}  // namespace pal
