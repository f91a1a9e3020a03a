#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pal {

/// Many short texts in one piece of memory: a million file names take their own bytes and eight
/// more each.
class NameList {
 public:
  NameList() = default;
  /// A list from what `text` and `ends` of another gave. `ends` must rise and end with the text's
  /// size.
  NameList(std::string text, std::vector<int64_t> ends)
      : text_(std::move(text)), ends_(std::move(ends)) {}

  int64_t size() const { return static_cast<int64_t>(ends_.size()); }
  std::string_view operator[](int64_t index) const {
    const auto i = static_cast<size_t>(index);
    const auto begin = static_cast<size_t>(i == 0 ? 0 : ends_[i - 1]);
    return std::string_view(text_).substr(begin, static_cast<size_t>(ends_[i]) - begin);
  }
  void add(std::string_view name) {
    text_ += name;
    ends_.push_back(static_cast<int64_t>(text_.size()));
  }
  void append(const NameList& more) {
    const auto shift = static_cast<int64_t>(text_.size());
    text_ += more.text_;
    for (const int64_t end : more.ends_) ends_.push_back(shift + end);
  }
  void reserve(size_t names, size_t bytes) {
    ends_.reserve(names);
    text_.reserve(bytes);
  }

  /// All names one after another.
  const std::string& text() const { return text_; }
  /// Where in `text` each name ends, in bytes.
  const std::vector<int64_t>& ends() const { return ends_; }

 private:
  std::string text_;
  std::vector<int64_t> ends_;
};

}  // namespace pal
