#include "data/sources/tar_labels.h"

#include <charconv>
#include <nlohmann/json.hpp>
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

/// Looks for the label in a JSON object and at nothing else in it.
class LabelFinder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit LabelFinder(const std::string& where) : where_(where) {}

  int32_t label() const {
    if (!label_) fail(ErrorKind::data, "{}: neither \"label\" nor \"cls\" in the JSON", where_);
    return static_cast<int32_t>(*label_);
  }

  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override {
    if (depth_ == 0) fail(ErrorKind::data, "{}: expected a JSON object", where_);
    return open();
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    wanted_ = depth_ == 1 && (name == "label" || name == "cls");
    return true;
  }
  bool number_integer(number_integer_t value) override { return take(value); }
  bool number_unsigned(number_unsigned_t value) override {
    return take(value < kMaxClasses ? static_cast<int64_t>(value) : kMaxClasses);
  }
  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool string(string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(ErrorKind::data, "{}: broken JSON at byte {}", where_, position);
  }

 private:
  bool open() {
    other();
    if (++depth_ > kMostDepth)
      fail(ErrorKind::data, "{}: JSON nested deeper than {}", where_, kMostDepth);
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }
  bool take(int64_t value) {
    if (depth_ == 0) fail(ErrorKind::data, "{}: expected a JSON object", where_);
    if (!wanted_) return true;
    wanted_ = false;
    if (value < 0 || value >= kMaxClasses)
      fail(ErrorKind::data, "{}: the label is not between 0 and {}", where_, kMaxClasses - 1);
    if (label_ && *label_ != value)
      fail(ErrorKind::data, "{}: two labels, {} and {}", where_, *label_, value);
    label_ = value;
    return true;
  }
  bool other() {
    if (wanted_) fail(ErrorKind::data, "{}: the label is not an integer", where_);
    return true;
  }

  const std::string& where_;
  int depth_ = 0;
  bool wanted_ = false;  ///< the next value is the label
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
  LabelFinder finder(where);
  const std::string_view text = as_text(bytes);
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  return finder.label();
}

}  // namespace pal
