#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "data/sources/class_list.h"
#include "data/sources/tar_labels.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Receives ["name", ...], {"0": "name", ...} or {"0": ["id", "name"], ...} and nothing else.
class ListReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ListReader(const std::string& file) : file_(file) {}

  std::vector<ClassEntry> entries() && {
    std::vector<ClassEntry> entries;
    for (auto& [label, entry] : entries_) {
      if (label != entries.size())
        fail(ErrorKind::data, "{}:0: no name for class {}", file_, entries.size());
      entries.push_back(std::move(entry));
    }
    return entries;
  }

  bool start_object(std::size_t) override {
    if (place_ != Place::outside) return refuse("an object in the list");
    place_ = Place::object;
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::list;
    } else if (place_ == Place::object) {
      place_ = Place::pair;
      pair_.clear();
    } else {
      return refuse("a list in a list");
    }
    return true;
  }
  bool end_array() override {
    if (place_ != Place::pair) return true;
    place_ = Place::object;
    if (pair_.size() != 2) return refuse("a list that is not [\"id\", \"name\"]");
    return take(pair_[0], pair_[1]);
  }
  bool key(string_t& name) override {
    size_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size() || number >= kMaxClasses ||
        std::to_string(number) != name)
      return refuse("a key that is not a class number");
    label_ = number;
    return true;
  }
  bool string(string_t& text) override {
    if (place_ == Place::outside) return refuse("a text alone");
    if (place_ == Place::pair) {
      if (pair_.size() == 2) return refuse("a list that is not [\"id\", \"name\"]");
      pair_.push_back(text);
      return true;
    }
    if (place_ == Place::list) label_ = entries_.size();
    return take("", text);
  }
  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a truth value"); }
  bool number_integer(number_integer_t) override { return refuse("a number"); }
  bool number_unsigned(number_unsigned_t) override { return refuse("a number"); }
  bool number_float(number_float_t, const string_t&) override { return refuse("a number"); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(ErrorKind::data, "{}:{}: broken JSON", file_, position);
  }

 private:
  enum class Place { outside, list, object, pair };

  bool refuse(std::string_view what) const {
    fail(ErrorKind::data,
         "{}:0: class {}: {}, expected [\"name\", ...], {{\"0\": \"name\", ...}} or {{\"0\": "
         "[\"id\", \"name\"], ...}}",
         file_, entries_.size(), what);
  }
  bool take(const std::string& id, const std::string& name) {
    if (name.empty()) return refuse("an empty name");
    if (one_line(name) != name) return refuse("a control character in a name");
    if (label_ >= kMaxClasses) return refuse("more than a million classes");
    if (!entries_.emplace(label_, ClassEntry{id, name, name}).second)
      return refuse("a number that comes twice");
    return true;
  }

  const std::string& file_;
  Place place_ = Place::outside;
  size_t label_ = 0;
  std::vector<std::string> pair_;
  std::map<size_t, ClassEntry> entries_;  ///< by label
};

}  // namespace

std::vector<ClassEntry> parse_class_json(std::span<const uint8_t> bytes, const std::string& file) {
  ListReader reader(file);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  return std::move(reader).entries();
}

}  // namespace pal
