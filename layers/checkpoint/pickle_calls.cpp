// What persistent identities and REDUCE make: storages, tensors, ordered dictionaries.
#include "layers/checkpoint/pickle_machine.h"
#include "layers/checkpoint/pickle_names.h"
#include "layers/checkpoint/safetensors_header.h"

namespace pal {
namespace {

constexpr const char* kKindNames[] = {"None",          "a boolean", "an integer", "an integer",
                                      "a real number", "a string",  "a list",     "a tuple",
                                      "a dictionary",  "a storage", "a tensor",   "a class"};

const char* name_of(PickleValue::Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }

}  // namespace

PickleMachine::Id PickleMachine::expect_kind(Id id, Kind kind, const char* what) const {
  if (const Kind found = pickle_.values[id].kind; found != kind)
    refuse("needs {} as {}, found {}", name_of(kind), what, name_of(found));
  return id;
}

void PickleMachine::persistent() {
  const std::vector<Id> parts = value(expect_kind(pop(), Kind::tuple, "identity")).items;
  // The sixth, of the older stream, describes a view; PyTorch has only ever written None.
  const bool right_size =
      parts.size() == 5 || (parts.size() == 6 && value(parts[5]).kind == Kind::none);
  if (!right_size || value(parts[0]).text != "storage") refuse("is not the identity of a storage");
  const PickleValue& type = value(expect_kind(parts[1], Kind::global, "storage class"));
  if (type.text.empty()) refuse("is not the identity of a storage");
  PickleStorage storage;
  storage.dtype_name = type.text;
  storage.key = value(expect_kind(parts[2], Kind::string, "storage key")).text;
  expect_kind(parts[3], Kind::string, "storage location");
  storage.count = count_of(parts[4], "storage size");
  const auto [known, is_new] = storages_.emplace(storage.key, pickle_.storages.size());
  if (is_new) {
    pickle_.storages.push_back(storage);
  } else if (const PickleStorage& before = pickle_.storages[known->second];
             before.count != storage.count || before.dtype_name != storage.dtype_name) {
    refuse("storage {}: {} of {} here, {} of {} before", printable(storage.key), storage.count,
           storage.dtype_name, before.count, before.dtype_name);
  }
  push_new(Kind::storage).integer = static_cast<int64_t>(known->second);
}

void PickleMachine::reduce() {
  const std::vector<Id> arguments = value(expect_kind(pop(), Kind::tuple, "arguments")).items;
  const PickleValue& global = value(expect_kind(pop(), Kind::global, "what is called"));
  if (global.integer < 0) refuse("calls a storage class, which no checkpoint needs");
  switch (static_cast<PickleCallable>(global.integer)) {
    case PickleCallable::ordered_dict:
      return call_ordered_dict(arguments);
    case PickleCallable::rebuild_tensor:
      return call_rebuild_tensor(arguments);
    case PickleCallable::rebuild_parameter:
      if (arguments.size() != 3) refuse("_rebuild_parameter has {} arguments", arguments.size());
      return push(expect_kind(arguments[0], Kind::tensor, "parameter"));
    case PickleCallable::size: {
      if (arguments.size() != 1) refuse("Size has {} arguments", arguments.size());
      push_new(Kind::tuple).items = copied(value(arguments[0]).items);
      return;
    }
  }
}

void PickleMachine::call_ordered_dict(const std::vector<Id>& arguments) {
  std::vector<Id> items;
  if (arguments.size() > 1) refuse("OrderedDict has {} arguments", arguments.size());
  if (!arguments.empty()) {
    for (const Id pair : value(expect_kind(arguments[0], Kind::list, "list of pairs")).items) {
      if (value(pair).items.size() != 2) refuse("OrderedDict has an entry that is no pair");
      items.insert(items.end(), value(pair).items.begin(), value(pair).items.end());
    }
  }
  push_new(Kind::dict).items = copied(std::move(items));
}

int64_t PickleMachine::count_of(Id id, const char* what) {
  const int64_t count = value(expect_kind(id, Kind::integer, what)).integer;
  if (count < 0) refuse("{}: expected at least 0, got {}", what, count);
  return count;
}

std::vector<int64_t> PickleMachine::counts_of(Id id, const char* what) {
  constexpr size_t kMostRank = 16;
  const std::vector<Id> items = value(expect_kind(id, Kind::tuple, what)).items;
  if (items.size() > kMostRank)
    refuse("{}: {} extents, expected at most {}", what, items.size(), kMostRank);
  std::vector<int64_t> counts;
  counts.reserve(items.size());
  for (const Id item : items) counts.push_back(count_of(item, what));
  return counts;
}

void PickleMachine::call_rebuild_tensor(const std::vector<Id>& arguments) {
  if (arguments.size() != 6 && arguments.size() != 7)
    refuse("_rebuild_tensor_v2 has {} arguments, expected 6 or 7", arguments.size());
  if (static_cast<int64_t>(pickle_.tensors.size()) >= limits_.tensors)
    refuse("makes more than {} tensors", limits_.tensors);
  PickleTensor tensor;
  tensor.storage = static_cast<size_t>(
      value(expect_kind(arguments[0], Kind::storage, "tensor storage")).integer);
  tensor.view.offset = count_of(arguments[1], "tensor offset");
  tensor.view.shape = counts_of(arguments[2], "tensor size");
  tensor.view.strides = counts_of(arguments[3], "tensor stride");
  const PickleStorage& storage = pickle_.storages[tensor.storage];
  if (const auto fault = view_fault(tensor.view, storage.count))
    refuse("storage {}: {}", printable(storage.key), *fault);
  push_new(Kind::tensor).integer = static_cast<int64_t>(pickle_.tensors.size());
  pickle_.tensors.push_back(std::move(tensor));
}

}  // namespace pal
