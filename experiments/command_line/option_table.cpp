#include "experiments/command_line/option_table.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {
namespace {

/// A number whose form and range were checked.
template <typename Number>
void read(const std::string& text, Number& target) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fail(ErrorKind::usage, "expected a smaller number, got '{}'", text);
  target = value;
}

template <typename Number>
void read_list(const std::string& text, size_t count, std::vector<Number>& target) {
  std::vector<Number> values;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    read(text.substr(begin, end - begin), values.emplace_back());
    begin = end + 1;
  }
  if (count > 0 && values.size() != count)
    fail(ErrorKind::usage, "expected {} numbers, got '{}'", count, text);
  target = std::move(values);
}

template <typename Number>
Option::Print printer(const Number& target) {
  return [&target] { return fmt::format("{}", target); };
}

template <typename Number>
Option::Print list_printer(const std::vector<Number>& target) {
  return [&target] { return fmt::format("{}", fmt::join(target, ",")); };
}

}  // namespace

double parse_duration(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string suffix(end, text.data() + text.size());
  const double factor = suffix.empty() || suffix == "s" ? 1.0
                        : suffix == "m"                 ? 60.0
                        : suffix == "h"                 ? 3600.0
                        : suffix == "d"                 ? 86400.0
                                                        : 0.0;
  if (error != std::errc() || factor == 0.0 || !std::isfinite(value) || value < 0.0)
    fail(ErrorKind::usage, "expected seconds, or a number with s, m, h or d, got '{}'", text);
  return value * factor;
}

OptionTable::OptionTable(std::string program, std::string description)
    : program_(std::move(program)), description_(std::move(description)), group_("Options") {}

Option& OptionTable::add(Option option) {
  options_.push_back(std::move(option));
  return options_.back();
}

Option& OptionTable::custom(const std::string& name, OptionKind kind, Option::Assign assign,
                            Option::Print print, const std::string& help) {
  return add(Option(name, kind, group_, help, std::move(assign), std::move(print)));
}

Option& OptionTable::toggle(const std::string& name, bool& target, const std::string& help) {
  return custom(
      name, OptionKind::toggle, [&target](const std::string& text) { target = text == "true"; },
      printer(target), help);
}

Option& OptionTable::whole(const std::string& name, int64_t& target, const std::string& help) {
  return custom(
      name, OptionKind::whole, [&target](const std::string& text) { read(text, target); },
      printer(target), help);
}

Option& OptionTable::whole(const std::string& name, int& target, const std::string& help) {
  return custom(
      name, OptionKind::whole, [&target](const std::string& text) { read(text, target); },
      printer(target), help);
}

Option& OptionTable::whole(const std::string& name, uint64_t& target, const std::string& help) {
  return custom(
             name, OptionKind::whole, [&target](const std::string& text) { read(text, target); },
             printer(target), help)
      .at_least(0);
}

Option& OptionTable::number(const std::string& name, double& target, const std::string& help) {
  return custom(
      name, OptionKind::number, [&target](const std::string& text) { read(text, target); },
      printer(target), help);
}

Option& OptionTable::numbers(const std::string& name, std::vector<double>& target, size_t count,
                             const std::string& help) {
  return custom(
      name, OptionKind::numbers,
      [&target, count](const std::string& text) { read_list(text, count, target); },
      list_printer(target), help);
}

Option& OptionTable::numbers(const std::string& name, std::vector<float>& target,
                             const std::string& help) {
  return custom(
      name, OptionKind::numbers, [&target](const std::string& text) { read_list(text, 0, target); },
      list_printer(target), help);
}

Option& OptionTable::numbers(const std::string& name, std::vector<int64_t>& target, size_t count,
                             const std::string& help) {
  return custom(
      name, OptionKind::numbers,
      [&target, count](const std::string& text) { read_list(text, count, target); },
      list_printer(target), help);
}

Option& OptionTable::text(const std::string& name, std::string& target, const std::string& help) {
  return custom(
      name, OptionKind::text, [&target](const std::string& text) { target = text; },
      printer(target), help);
}

Option& OptionTable::texts(const std::string& name, std::vector<std::string>& target,
                           const std::string& help) {
  return custom(
             name, OptionKind::text, [&target](const std::string& text) { target.push_back(text); },
             [&target] { return fmt::format("{}", fmt::join(target, ",")); }, help)
      .repeated();
}

Option& OptionTable::file(const std::string& name, std::string& target, const std::string& help) {
  return text(name, target, help).unit("FILE");
}

Option& OptionTable::bytes(const std::string& name, int64_t& target, const std::string& help) {
  return custom(
             name, OptionKind::text,
             [&target](const std::string& text) {
               target = text == "0" || text == "none" ? 0 : parse_bytes(text);
             },
             [&target] { return target == 0 ? std::string() : fmt::format("{}", target); }, help)
      .unit("BYTES");
}

Option& OptionTable::duration(const std::string& name, double& target, const std::string& help) {
  return custom(
             name, OptionKind::text,
             [&target](const std::string& text) { target = parse_duration(text); },
             [&target] { return target == 0.0 ? std::string() : fmt::format("{}s", target); }, help)
      .unit("TIME");
}

void OptionTable::positional(const std::string& name, std::string& value, const std::string& help) {
  positionals_.push_back({name, help, nullptr, &value});
}

void OptionTable::positionals(const std::string& name, std::vector<std::string>& values,
                              const std::string& help) {
  positionals_.push_back({name, help, &values, nullptr});
}

void OptionTable::synonym(const std::string& word, const std::string& answer) {
  synonyms_.emplace_back(word, answer);
}

void OptionTable::add_questions(bool program) {
  if (find("help") != nullptr) return;
  group(kAboutGroup);
  toggle("help", question_, "Print this").letter('h').unsaved();
  if (!program) return;
  toggle("version", question_, "Print the versions of the program and of the libraries it runs on")
      .unsaved();
  toggle("man", question_, fmt::format("Print a manual page: {} --man | man -l -", program_))
      .unsaved();
  text("completion", shell_,
       fmt::format("Print shell completion: source <({} --completion bash)", program_))
      .unit("bash")
      .unsaved();
}

OptionTable& OptionTable::command(const std::string& name, const std::string& description) {
  return commands_.emplace_back(program_ + " " + name, description);
}

const Option* OptionTable::find(const std::string& name) const {
  for (const Option& option : options_)
    if (option.name() == name) return &option;
  return nullptr;
}

Option* OptionTable::find(const std::string& name) {
  return const_cast<Option*>(std::as_const(*this).find(name));
}

Option& OptionTable::at(const std::string& name) {
  Option* const option = find(name);
  if (option == nullptr) fail(ErrorKind::failure, "option table: no option {}", name);
  return *option;
}

void OptionTable::apply_architecture(const std::string& arch) {
  for (Option& option : options_)
    if (const std::string text = option.architecture_default(arch); !text.empty())
      option.set(text, Origin::architecture, option.flag());
}

bool OptionTable::has_effect(const Option& option, bool flow) {
  if (option.families() == Families::flows && !flow) return false;
  if (option.families() == Families::resnets && flow) return false;
  return option.applies();
}

void OptionTable::check_effects(bool flow) const {
  for (const Option& option : options_) {
    if (!option.is_given()) continue;
    const Families other = flow ? Families::resnets : Families::flows;
    expect(option.families() != other,
           "{}: is an option of {}; leave it out, or choose another --arch", option.flag(),
           flow ? "ResNets, and this is a flow" : "flows, and this is a ResNet");
    if (!option.applies()) log_warning("{}: has an effect only {}", option.flag(), option.when());
  }
}

}  // namespace pal
