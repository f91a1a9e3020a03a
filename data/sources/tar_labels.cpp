#include "data/sources/tar_labels.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr size_t kMostLabelDigits = 64;
constexpr int kMostDepth = 64;

std::string_view as_text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether a word is a number as JSON has it.
bool is_number(std::string_view word) {
  size_t at = word.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const size_t first = at;
    while (at < word.size() && word[at] >= '0' && word[at] <= '9') ++at;
    return at - first;
  };
  const size_t first = at;
  const size_t whole = digits();
  if (whole == 0 || (whole > 1 && word[first] == '0')) return false;
  if (at < word.size() && word[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
    ++at;
    if (at < word.size() && (word[at] == '+' || word[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == word.size();
}

/// Whether a word is a value that JSON, or Python's json module, writes without quotes.
bool is_value(std::string_view word) {
  for (const char* known : {"true", "false", "null", "NaN", "Infinity", "-Infinity"})
    if (word == known) return true;
  return is_number(word);
}

/// Finds the label in a JSON object and passes over everything else: as strict as JSON about
/// brackets, commas and colons, but what a passed value holds does not matter. Python writes NaN,
/// infinities, integers of any length and halves of surrogate pairs, none of which is JSON.
class LabelFinder {
 public:
  LabelFinder(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  int32_t label() {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    if (peek() != '{' && at_ < text_.size())
      fail(ErrorKind::data, "{}: expected a JSON object", where_);
    pass_object(1);
    peek();
    if (at_ < text_.size()) broken();
    if (!label_) fail(ErrorKind::data, "{}: neither \"label\" nor \"cls\" in the JSON", where_);
    return static_cast<int32_t>(*label_);
  }

 private:
  [[noreturn]] void broken() const {
    fail(ErrorKind::data, "{}: broken JSON at byte {}", where_, std::min(at_, text_.size()));
  }

  /// Moves to what follows the space; 0 at the end.
  char peek() {
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void need(char wanted) {
    if (!accept(wanted)) broken();
  }

  /// The text between two quotes, as it is written.
  std::string_view pass_text() {
    need('"');
    const size_t begin = at_;
    for (; at_ < text_.size() && static_cast<uint8_t>(text_[at_]) >= 0x20; ++at_) {
      if (text_[at_] == '"') return text_.substr(begin, at_++ - begin);
      if (text_[at_] == '\\') ++at_;
    }
    broken();
  }

  void pass_object(int depth) {
    need('{');
    if (accept('}')) return;
    do {
      peek();
      const std::string_view key = pass_text();
      need(':');
      if (depth == 1 && (key == "label" || key == "cls"))
        take_label();
      else
        pass_value(depth);
    } while (accept(','));
    need('}');
  }

  void pass_array(int depth) {
    need('[');
    if (accept(']')) return;
    do {
      pass_value(depth);
    } while (accept(','));
    need(']');
  }

  void pass_value(int depth) {
    const char first = peek();
    if ((first == '{' || first == '[') && depth == kMostDepth)
      fail(ErrorKind::data, "{}: JSON nested deeper than {}", where_, kMostDepth);
    if (first == '{')
      pass_object(depth + 1);
    else if (first == '[')
      pass_array(depth + 1);
    else if (first == '"')
      pass_text();
    else
      pass_word();
  }

  /// A number, or a word such as true.
  std::string_view pass_word() {
    const size_t end = std::min(text_.find_first_of(" \t\r\n,:[]{}\"", at_), text_.size());
    const std::string_view word = text_.substr(at_, end - at_);
    if (!is_value(word)) broken();
    at_ = end;
    return word;
  }

  void take_label() {
    const char first = peek();
    const std::string_view word =
        first == '{' || first == '[' || first == '"' ? std::string_view() : pass_word();
    const bool integer = !word.empty() && word.find_first_not_of("-0123456789") == word.npos;
    if (!integer) fail(ErrorKind::data, "{}: the label is not an integer", where_);
    int64_t value = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || value < 0 || value >= kMaxClasses)
      fail(ErrorKind::data, "{}: the label is not between 0 and {}", where_, kMaxClasses - 1);
    if (label_ && *label_ != value)
      fail(ErrorKind::data, "{}: two labels, {} and {}", where_, *label_, value);
    label_ = value;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  std::optional<int64_t> label_;
};

}  // namespace

int32_t parse_cls(std::span<const uint8_t> bytes, const std::string& where) {
  const std::string_view text = trimmed(as_text(bytes));
  const bool digits = !text.empty() && text.size() <= kMostLabelDigits &&
                      text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!digits)
    fail(ErrorKind::data, "{}: the label is \"{}\", expected a number", where,
         one_line(text.substr(0, kMostLabelDigits)));
  int32_t value = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (error != std::errc() || value >= kMaxClasses)
    fail(ErrorKind::data, "{}: the label is {}, expected 0 to {}", where, text, kMaxClasses - 1);
  return value;
}

int32_t parse_json_label(std::span<const uint8_t> bytes, const std::string& where) {
  return LabelFinder(as_text(bytes), where).label();
}

}  // namespace pal
