#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layers/checkpoint/byte_window.h"
#include "layers/checkpoint/pickle.h"
#include "layers/checkpoint/pickle_names.h"
#include "runtime/error.h"

namespace pal {

/// The stack machine behind parse_pickle: makes values of the instructions of its table.
///
/// Instructions push values, combine the topmost ones or those above the last mark, and remember
/// them in the memo. Values live in Pickle::values and the stack holds their positions, so sharing
/// costs nothing and nothing is destroyed twice. A name (GLOBAL) becomes a value only if it is in
/// pickle_names.h, and REDUCE and NEWOBJ only know what to make of those: no file can have anything
/// called.
/// Memory is bounded by `limits` and not by what the file claims: `pushed_` counts every value that
/// is pushed or copied, strings and marks have limits of their own, and bytes come through a
/// window.
class PickleMachine {
 public:
  PickleMachine(const RandomReader& bytes, int64_t begin, int64_t end, const PickleLimits& limits)
      : name_(bytes.name()),
        window_(bytes, begin, std::min(end, begin + limits.bytes)),
        limits_(limits) {}

  /// Runs the instructions up to STOP. Throws data.
  Pickle run();

 private:
  using Kind = PickleValue::Kind;
  using Id = uint32_t;

  struct Instruction {
    uint8_t code;
    const char* name;
    /// Null for one that is known and refused.
    void (PickleMachine::*run)();
  };
  static const std::vector<Instruction>& instructions();

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::data, "{}:{}: pickle, {}: {}", name_, instruction_offset_,
         instruction_ == nullptr ? "instruction" : instruction_->name,
         fmt::format(format, std::forward<Args>(args)...));
  }

  // Values.
  PickleValue& value(Id id) { return pickle_.values[id]; }
  Id make(Kind kind) {
    pickle_.values.emplace_back().kind = kind;
    return static_cast<Id>(pickle_.values.size() - 1);
  }
  void push(Id id) {
    if (++pushed_ > limits_.objects) refuse("makes more than {} values", limits_.objects);
    stack_.push_back(id);
  }
  PickleValue& push_new(Kind kind) {
    const Id id = make(kind);
    push(id);
    return value(id);
  }
  void push_integer(int64_t number) { push_new(Kind::integer).integer = number; }
  void push_string(int64_t length) {
    if (length > limits_.string_bytes)
      refuse("has a string of {} bytes, expected at most {}", length, limits_.string_bytes);
    push_new(Kind::string).text = window_.take(length);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Id pop() {
    if (stack_.size() <= floor()) refuse("finds the stack empty");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Id top() {
    if (stack_.size() <= floor()) refuse("finds the stack empty");
    return stack_.back();
  }
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) refuse("finds no mark");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Id> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  /// `id` itself if its value is of this kind; else refuses, naming `what` it was needed as.
  Id expect_kind(Id id, Kind kind, const char* what) const;

  // Instructions.
  void protocol() {
    if (const int version = window_.next(); version > 4)
      refuse("asks for protocol {}, expected at most 4", version);
  }
  void frame() { window_.number<uint64_t>(); }
  void mark() {
    if (marks_.size() >= static_cast<size_t>(limits_.depth))
      refuse("nests more than {} deep", limits_.depth);
    marks_.push_back(stack_.size());
  }
  void none() { push_new(Kind::none); }
  void yes() { push_new(Kind::boolean).integer = 1; }
  void no() { push_new(Kind::boolean); }
  void int32() { push_integer(window_.number<int32_t>()); }
  void uint8() { push_integer(window_.next()); }
  void uint16() { push_integer(window_.number<uint16_t>()); }
  void long_integer();
  void real() {
    const auto bits = window_.number<uint64_t>();
    push_new(Kind::real).real = std::bit_cast<double>(__builtin_bswap64(bits));
  }
  void unicode() { push_string(window_.number<uint32_t>()); }
  void short_string() { push_string(window_.next()); }
  void empty_list() { push_new(Kind::list); }
  void empty_tuple() { push_new(Kind::tuple); }
  void empty_dict() { push_new(Kind::dict); }
  void tuple() {
    std::vector<Id> items = pop_to_mark();
    push_new(Kind::tuple).items = std::move(items);
  }
  void tuple_of(size_t count) {
    std::vector<Id> items(count);
    for (size_t i = count; i > 0; --i) items[i - 1] = pop();
    push_new(Kind::tuple).items = std::move(items);
  }
  void tuple1() { tuple_of(1); }
  void tuple2() { tuple_of(2); }
  void tuple3() { tuple_of(3); }
  void append() { add_items(Kind::list, {pop()}); }
  void appends() { add_items(Kind::list, pop_to_mark()); }
  void set_item() {
    const Id item = pop();
    const Id key = pop();
    add_items(Kind::dict, {key, item});
  }
  void set_items() { add_items(Kind::dict, pop_to_mark()); }
  void add_items(Kind kind, const std::vector<Id>& items) {
    if (kind == Kind::dict && items.size() % 2 != 0) refuse("has a key without a value");
    auto& target = value(expect_kind(top(), kind, "target")).items;
    target.insert(target.end(), items.begin(), items.end());
  }
  void put(uint32_t index) {
    memo_[index] = top();
    if (static_cast<int64_t>(memo_.size()) > limits_.objects)
      refuse("remembers more than {} values", limits_.objects);
  }
  void put8() { put(window_.next()); }
  void put32() { put(window_.number<uint32_t>()); }
  void memoize() { put(static_cast<uint32_t>(memo_.size())); }
  void get(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("asks for value {}, which was not remembered", index);
    push(found->second);
  }
  void get8() { get(window_.next()); }
  void get32() { get(window_.number<uint32_t>()); }
  void global();
  void stack_global();
  void push_global(const std::string& module, const std::string& name);
  void persistent();
  void reduce();
  void new_object();
  void build() {
    pop();
    expect_kind(top(), Kind::dict, "what takes a state");
  }
  void stop() { stopped_ = true; }

  /// `items`, counted as pushed, so that a short pickle cannot copy a long list over and over.
  std::vector<Id> copied(std::vector<Id> items) {
    pushed_ += static_cast<int64_t>(items.size());
    return items;
  }

  // What REDUCE and NEWOBJ may do.
  std::string line();
  int64_t count_of(Id id, const char* what);
  std::vector<int64_t> counts_of(Id id, const char* what);
  const PickleGlobal& global_of(Id id, const char* what);
  const PickleGlobal& called(Id id);
  /// Pushes what comes of a call; `arguments` is a tuple.
  void call(const PickleGlobal& called, Id arguments);
  void call_ordered_dict(const std::vector<Id>& arguments);
  void call_tensor(const std::vector<Id>& arguments, PickleCall kind);
  /// Refuses metadata that say that a tensor's values are stored negated or conjugated.
  void expect_unaltered(Id metadata);

  const std::string& name_;
  ByteWindow window_;
  const PickleLimits& limits_;
  Pickle pickle_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Id> memo_;
  std::unordered_map<std::string, size_t> storages_;
  const Instruction* instruction_ = nullptr;
  int64_t instruction_offset_ = 0;
  int64_t pushed_ = 0;
  bool stopped_ = false;
};

}  // namespace pal
