#include "layers/checkpoint/pickle.h"

#include <algorithm>
#include <array>
#include <bit>

#include "layers/checkpoint/pickle_machine.h"
#include "layers/checkpoint/pickle_names.h"
#include "layers/checkpoint/safetensors_header.h"

namespace pal {

const std::vector<PickleMachine::Instruction>& PickleMachine::instructions() {
  static const std::vector<Instruction> table = {
      {0x80, "PROTO", &PickleMachine::protocol},
      {0x95, "FRAME", &PickleMachine::frame},
      {'.', "STOP", &PickleMachine::stop},
      {'(', "MARK", &PickleMachine::mark},
      {'N', "NONE", &PickleMachine::none},
      {0x88, "NEWTRUE", &PickleMachine::yes},
      {0x89, "NEWFALSE", &PickleMachine::no},
      {'J', "BININT", &PickleMachine::int32},
      {'K', "BININT1", &PickleMachine::uint8},
      {'M', "BININT2", &PickleMachine::uint16},
      {0x8a, "LONG1", &PickleMachine::long_integer},
      {'G', "BINFLOAT", &PickleMachine::real},
      {'X', "BINUNICODE", &PickleMachine::unicode},
      {0x8c, "SHORT_BINUNICODE", &PickleMachine::short_string},
      {'U', "SHORT_BINSTRING", &PickleMachine::short_string},
      {']', "EMPTY_LIST", &PickleMachine::empty_list},
      {')', "EMPTY_TUPLE", &PickleMachine::empty_tuple},
      {'}', "EMPTY_DICT", &PickleMachine::empty_dict},
      {0x8f, "EMPTY_SET", &PickleMachine::empty_tuple},
      {'t', "TUPLE", &PickleMachine::tuple},
      {0x85, "TUPLE1", &PickleMachine::tuple1},
      {0x86, "TUPLE2", &PickleMachine::tuple2},
      {0x87, "TUPLE3", &PickleMachine::tuple3},
      {'a', "APPEND", &PickleMachine::append},
      {'e', "APPENDS", &PickleMachine::appends},
      {'s', "SETITEM", &PickleMachine::set_item},
      {'u', "SETITEMS", &PickleMachine::set_items},
      {'q', "BINPUT", &PickleMachine::put8},
      {'r', "LONG_BINPUT", &PickleMachine::put32},
      {0x94, "MEMOIZE", &PickleMachine::memoize},
      {'h', "BINGET", &PickleMachine::get8},
      {'j', "LONG_BINGET", &PickleMachine::get32},
      {'c', "GLOBAL", &PickleMachine::global},
      {0x93, "STACK_GLOBAL", &PickleMachine::stack_global},
      {'Q', "BINPERSID", &PickleMachine::persistent},
      {'R', "REDUCE", &PickleMachine::reduce},
      {0x81, "NEWOBJ", &PickleMachine::new_object},
      {'b', "BUILD", &PickleMachine::build},
      {'i', "INST", nullptr},
      {'o', "OBJ", nullptr},
      {0x92, "NEWOBJ_EX", nullptr},
      {0x82, "EXT1", nullptr}};
  return table;
}

Pickle PickleMachine::run() {
  std::array<const Instruction*, 256> by_code{};
  for (const Instruction& instruction : instructions()) by_code[instruction.code] = &instruction;
  while (!stopped_) {
    instruction_offset_ = window_.offset();
    instruction_ = nullptr;
    const uint8_t code = window_.next();
    instruction_ = by_code[code];
    if (instruction_ == nullptr) refuse("0x{:02x} is none that checkpoints need", code);
    if (instruction_->run == nullptr) refuse("makes an object, which no checkpoint needs");
    (this->*instruction_->run)();
  }
  if (stack_.size() != 1 || !marks_.empty())
    refuse("leaves {} values, expected one", stack_.size());
  pickle_.root = stack_.back();
  pickle_.end = window_.offset();
  return std::move(pickle_);
}

void PickleMachine::long_integer() {
  const std::string raw = window_.take(window_.next());
  if (raw.size() > sizeof(int64_t)) {
    push_new(Kind::wide_integer).text = raw;
    return;
  }
  // Two's complement of as many bytes as the number needs.
  const bool negative = !raw.empty() && (static_cast<uint8_t>(raw.back()) & 0x80U) != 0;
  std::array<char, sizeof(int64_t)> wide;
  wide.fill(negative ? '\xff' : '\0');
  std::ranges::copy(raw, wide.begin());
  push_integer(std::bit_cast<int64_t>(wide));
}

std::string PickleMachine::line() {
  constexpr size_t kMost = 200;
  std::string text;
  for (char c = static_cast<char>(window_.next()); c != '\n';
       c = static_cast<char>(window_.next())) {
    text += c;
    if (text.size() > kMost) refuse("has a name of more than {} bytes", kMost);
  }
  return text;
}

void PickleMachine::global() {
  const std::string module = line();
  push_global(module, line());
}

void PickleMachine::stack_global() {
  const Id name = expect_kind(pop(), Kind::string, "name");
  const Id module = expect_kind(pop(), Kind::string, "module");
  push_global(value(module).text, value(name).text);
}

void PickleMachine::push_global(const std::string& module, const std::string& name) {
  const auto place = find_pickle_global(module, name);
  if (!place)
    refuse("asks for {}, which no checkpoint needs; only tensors and plain values are read",
           printable(module + "." + name));
  push_new(Kind::global).integer = static_cast<int64_t>(*place);
}

Pickle parse_pickle(const RandomReader& bytes, int64_t begin, int64_t end,
                    const PickleLimits& limits) {
  return PickleMachine(bytes, begin, end, limits).run();
}

}  // namespace pal
