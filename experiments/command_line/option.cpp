#include "experiments/command_line/option.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "experiments/command_line/program.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/text.h"

namespace pal {
namespace {

template <typename Number>
bool parses(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// Numbers without the plus signs before them, which the standard library does not read.
std::string without_plus(const std::string& text) {
  std::vector<std::string> parts = parts_of(text);
  for (std::string& part : parts)
    if (part.starts_with('+') && !part.starts_with("+-")) part.erase(0, 1);
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace

Option::Option(std::string name, OptionKind kind, std::string group, std::string help,
               Assign assign, Print print)
    : name_(std::move(name)),
      group_(std::move(group)),
      help_(std::move(help)),
      kind_(kind),
      assign_(std::move(assign)),
      print_(std::move(print)) {
  if (kind == OptionKind::whole) unit_ = "N";
  if (kind == OptionKind::number) unit_ = "NUMBER";
  if (kind == OptionKind::numbers) unit_ = "NUMBERS";
  if (kind == OptionKind::text) unit_ = "TEXT";
  if (kind == OptionKind::choice) unit_ = "WORD";
}

Option& Option::letter(char letter) {
  letter_ = letter;
  return *this;
}
Option& Option::unit(const std::string& unit) {
  unit_ = unit;
  return *this;
}
Option& Option::at_least(double least) {
  least_ = least;
  return *this;
}
Option& Option::above(double least) {
  above_ = true;
  return at_least(least);
}
Option& Option::at_most(double most) {
  most_ = most;
  return *this;
}
Option& Option::below(double most) {
  below_ = true;
  return at_most(most);
}
Option& Option::word(const std::string& word, double value) {
  words_.emplace_back(word, fmt::format("{}", value));
  return *this;
}
Option& Option::values(std::vector<std::string> values) {
  values_ = std::move(values);
  return *this;
}
Option& Option::by_architecture(std::vector<std::pair<std::string, std::string>> defaults) {
  by_architecture_ = std::move(defaults);
  return *this;
}
Option& Option::architecture_note(std::vector<std::pair<std::string, std::string>> defaults) {
  described_only_ = true;
  return by_architecture(std::move(defaults));
}
Option& Option::families(Families families) {
  families_ = families;
  return *this;
}
Option& Option::on_resume(OnResume rule) {
  on_resume_ = rule;
  return *this;
}
Option& Option::recorded() {
  recorded_ = true;
  return *this;
}
Option& Option::unsaved() {
  saved_ = false;
  return *this;
}
Option& Option::only(const std::string& when, std::function<bool()> applies) {
  when_ = when;
  applies_ = std::move(applies);
  return *this;
}
Option& Option::shown_default(const std::string& text) {
  shown_default_ = text;
  return *this;
}
Option& Option::path() { return saved_as(absolute_path); }
Option& Option::saved_as(std::function<std::string(const std::string&)> saved) {
  save_ = std::move(saved);
  return *this;
}
Option& Option::repeated() {
  repeated_ = true;
  return *this;
}

Option& Option::many() {
  many_ = true;
  return *this;
}

Option& Option::takes(int values) {
  taken_ = values;
  return *this;
}

std::vector<std::string> Option::words() const {
  std::vector<std::string> words;
  for (const auto& [word, number] : words_) words.push_back(word);
  return words;
}

std::string Option::range_text() const {
  if (kind_ == OptionKind::choice) return fmt::format("{}", fmt::join(values_, ", "));
  std::string text;
  const bool bounded = std::isfinite(least_);
  if (bounded && above_)
    text = fmt::format("above {}", least_);
  else if (bounded && std::isfinite(most_))
    text = fmt::format("{}", least_);
  else if (bounded)
    text = fmt::format("at least {}", least_);
  if (std::isfinite(most_)) {
    const char* bound = below_ ? "below " : (text.empty() ? "at most " : "");
    text += fmt::format("{}{}{}", text.empty() ? "" : " to ", bound, most_);
  }
  for (const auto& [word, value] : words_) text += (text.empty() ? "" : ", or ") + word;
  return text;
}

std::string Option::expectation() const {
  switch (kind_) {
    case OptionKind::toggle:
      return "true or false";
    case OptionKind::choice:
      return "one of " + range_text();
    case OptionKind::text:
      return unit_;
    default:
      break;
  }
  const char* what = kind_ == OptionKind::whole    ? "a whole number"
                     : kind_ == OptionKind::number ? "a number"
                                                   : "numbers";
  const char* const commas = kind_ == OptionKind::numbers ? ", with commas between them" : "";
  const std::string range = range_text();
  if (range.empty()) return fmt::format("{}{}", what, commas);
  const char* joint = std::isfinite(least_) ? " from " : ", or ";
  if (range.starts_with("at ")) joint = " of ";
  if (range.starts_with("above") || range.starts_with("below")) joint = " ";
  return fmt::format("{}{}{}{}", what, joint, range, commas);
}

std::string Option::default_text() const {
  std::string text = shown_default_;
  if (text.empty()) text = origin_ == Origin::standard ? this->text() : standard_;
  std::string others;
  for (size_t i = 0; i < by_architecture_.size(); ++i) {
    const auto& [arch, value] = by_architecture_[i];
    const bool same = i + 1 < by_architecture_.size() && by_architecture_[i + 1].second == value;
    others += arch + (same ? ", " : fmt::format(" {}", value));
    if (!same && i + 1 < by_architecture_.size()) others += "; ";
  }
  if (text.empty() && others.empty()) return {};
  return fmt::format("default {}{}", text.empty() ? "none" : text,
                     others.empty() ? "" : " (" + others + ")");
}

bool Option::in_range(double value) const {
  if (!std::isfinite(value)) return false;
  const bool high_enough = above_ ? value > least_ : value >= least_;
  return high_enough && (below_ ? value < most_ : value <= most_);
}

std::string Option::number_of(const std::string& text) const {
  for (const auto& [word, number] : words_)
    if (word == text) return number;
  return text;
}

void Option::check_number(const std::string& text) const {
  double number = 0.0;
  bool fits = parses(text, number);
  if (fits && kind_ == OptionKind::whole) {
    int64_t whole = 0;
    uint64_t natural = 0;
    fits = parses(text, whole) || parses(text, natural);
  }
  if (!fits || !in_range(number))
    fail(ErrorKind::usage, "expected {}, got '{}'", expectation(), text);
}

void Option::claim(Origin origin) {
  if (origin_ == Origin::standard) standard_ = text();
  claimed_ = !is_given();
  origin_ = std::max(origin_, origin);
}

void Option::set(const std::string& text, Origin origin, const std::string& where) {
  if (origin < origin_) return;
  if (text.empty()) fail(ErrorKind::usage, "{}: expected {}, got ''", where, expectation());
  if (origin_ == Origin::standard) standard_ = this->text();
  try {
    // What a word stands for need not lie in the range of the numbers; older files write it out.
    const auto is_word = [&](const std::string& given) {
      return std::ranges::any_of(words_, [&](const auto& known) {
        return known.first == given || (origin < Origin::command && known.second == given);
      });
    };
    const bool word = is_word(text);
    const bool one_number = kind_ == OptionKind::whole || kind_ == OptionKind::number;
    std::string value = number_of(text);
    if (!word) {
      if (one_number || kind_ == OptionKind::numbers) value = without_plus(text);
      if (one_number) check_number(value);
      if (kind_ == OptionKind::numbers) {
        std::vector<std::string> parts = parts_of(value);
        for (std::string& part : parts) {
          if (!is_word(part)) check_number(part.empty() ? text : part);
          part = number_of(part);
        }
        value = fmt::format("{}", fmt::join(parts, ","));
      }
      if (kind_ == OptionKind::toggle) {
        const std::optional<bool> truth = parse_truth(text);
        if (!truth) fail(ErrorKind::usage, "expected {}, got '{}'", expectation(), text);
        value = *truth ? "true" : "false";
      }
      if (kind_ == OptionKind::choice && std::ranges::find(values_, text) == values_.end()) {
        const std::string nearest = nearest_name(text, values_);
        fail(ErrorKind::usage, "expected {}, got '{}'{}", expectation(), text,
             nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
      }
    }
    assign_(value);
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", where, error.what());
  }
  claimed_ = false;
  origin_ = origin;
}

std::string Option::text() const {
  const std::string text = print_();
  for (const auto& [word, number] : words_)
    if (number == text) return word;
  return text;
}

std::string Option::literal() const {
  const std::string text = this->text();
  double number = 0.0;
  int64_t whole = 0;
  switch (kind_) {
    case OptionKind::toggle:
      return text;
    case OptionKind::whole:
      // TOML has no larger ones.
      if (parses(text, whole)) return text;
      break;
    case OptionKind::number:
      if (parses(text, number) && std::isfinite(number)) return text;
      break;
    case OptionKind::numbers:
      return fmt::format("[{}]", fmt::join(parts_of(text), ", "));
    default:
      break;
  }
  return json_text(nlohmann::json(as_utf8(text)));
}

std::string Option::saved_literal() const {
  return save_ ? json_text(nlohmann::json(as_utf8(save_(text())))) : literal();
}

std::string Option::architecture_default(const std::string& arch) const {
  if (!described_only_)
    for (const auto& [name, value] : by_architecture_)
      if (name == arch) return value;
  return {};
}

std::optional<bool> parse_truth(const std::string& text) {
  const std::string word = lower_case(text);
  if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "0" || word == "no" || word == "off") return false;
  return std::nullopt;
}

std::string absolute_path(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace pal
