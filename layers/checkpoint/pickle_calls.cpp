// What persistent identities, REDUCE and NEWOBJ make: storages, tensors, containers.
#include "layers/checkpoint/pickle_machine.h"
#include "layers/checkpoint/pickle_names.h"
#include "layers/checkpoint/safetensors_header.h"

namespace pal {
namespace {

constexpr const char* kKindNames[] = {"None",          "a boolean", "an integer", "an integer",
                                      "a real number", "a string",  "a list",     "a tuple",
                                      "a dictionary",  "a storage", "a tensor",   "a class",
                                      "another value"};

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
  const PickleGlobal& type = global_of(parts[1], "storage class");
  if (type.kind != PickleGlobal::Kind::storage) refuse("is not the identity of a storage");
  PickleStorage storage;
  storage.dtype_name = type.element.dtype_name;
  storage.item_bytes = type.element.bytes;
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

const PickleGlobal& PickleMachine::global_of(Id id, const char* what) {
  return pickle_global(static_cast<size_t>(value(expect_kind(id, Kind::global, what)).integer));
}

const PickleGlobal& PickleMachine::called(Id id) {
  const PickleGlobal& global = global_of(id, "what is called");
  if (global.kind != PickleGlobal::Kind::function && global.kind != PickleGlobal::Kind::type)
    refuse("calls {}, which no checkpoint needs", printable(global.name));
  return global;
}

void PickleMachine::reduce() {
  const Id arguments = expect_kind(pop(), Kind::tuple, "arguments");
  call(called(pop()), arguments);
}

void PickleMachine::new_object() {
  const Id arguments = expect_kind(pop(), Kind::tuple, "arguments");
  const PickleGlobal& type = called(pop());
  if (type.kind != PickleGlobal::Kind::type)
    refuse("makes an object of {}, which is no class", printable(type.name));
  // Python makes such a container empty, whatever arguments there are.
  const bool fills_later =
      type.call == PickleCall::ordered_dict || type.call == PickleCall::counter;
  if (fills_later && !value(arguments).items.empty())
    refuse("makes an object of {} with arguments", printable(type.name));
  call(type, arguments);
}

void PickleMachine::call(const PickleGlobal& called_global, Id arguments) {
  const std::vector<Id>& items = value(arguments).items;
  if (items.size() < called_global.least_arguments || items.size() > called_global.most_arguments)
    refuse("{} has {} arguments, expected {} to {}", called_global.name, items.size(),
           called_global.least_arguments, called_global.most_arguments);
  switch (called_global.call) {
    case PickleCall::ordered_dict:
      return call_ordered_dict(items);
    case PickleCall::counter: {
      std::vector<Id> counts;
      if (!items.empty()) counts = value(expect_kind(items[0], Kind::dict, "counts")).items;
      push_new(Kind::dict).items = copied(std::move(counts));
      return;
    }
    case PickleCall::members: {
      std::vector<Id> members;
      if (!items.empty()) members = value(items[0]).items;
      push_new(Kind::tuple).items = copied(std::move(members));
      return;
    }
    case PickleCall::tensor:
    case PickleCall::typed_tensor:
      return call_tensor(items, called_global.call);
    case PickleCall::same_tensor:
      return push(expect_kind(items[0], Kind::tensor, "tensor"));
    case PickleCall::attributed_tensor: {
      const PickleGlobal& inner = called(items[0]);
      if (inner.call == PickleCall::attributed_tensor) refuse("calls itself");
      return call(inner, expect_kind(items[2], Kind::tuple, "arguments"));
    }
    case PickleCall::arguments:
      return push(arguments);
    case PickleCall::opaque:
      push_new(Kind::opaque);
      return;
  }
}

void PickleMachine::call_ordered_dict(const std::vector<Id>& arguments) {
  std::vector<Id> items;
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

void PickleMachine::call_tensor(const std::vector<Id>& arguments, PickleCall kind) {
  if (static_cast<int64_t>(pickle_.tensors.size()) >= limits_.tensors)
    refuse("makes more than {} tensors", limits_.tensors);
  PickleTensor tensor;
  tensor.storage = static_cast<size_t>(
      value(expect_kind(arguments[0], Kind::storage, "tensor storage")).integer);
  tensor.view.offset = count_of(arguments[1], "tensor offset");
  tensor.view.shape = counts_of(arguments[2], "tensor size");
  tensor.view.strides = counts_of(arguments[3], "tensor stride");
  const PickleStorage& storage = pickle_.storages[tensor.storage];
  tensor.dtype_name = storage.dtype_name;
  tensor.item_bytes = storage.item_bytes;
  size_t metadata = 6;
  if (kind == PickleCall::typed_tensor) {
    const PickleGlobal& type = global_of(arguments[metadata++], "tensor dtype");
    if (type.kind != PickleGlobal::Kind::dtype)
      refuse("needs a dtype of a tensor, found {}", printable(type.name));
    tensor.dtype_name = type.element.dtype_name;
    tensor.item_bytes = type.element.bytes;
  }
  if (arguments.size() > metadata) expect_unaltered(arguments[metadata]);
  int64_t bytes = 0;
  if (__builtin_mul_overflow(storage.count, storage.item_bytes, &bytes))
    refuse("storage {}: {} numbers, more than any file holds", printable(storage.key),
           storage.count);
  if (const auto fault = view_fault(tensor.view, bytes / tensor.item_bytes))
    refuse("storage {}: {}", printable(storage.key), *fault);
  push_new(Kind::tensor).integer = static_cast<int64_t>(pickle_.tensors.size());
  pickle_.tensors.push_back(std::move(tensor));
}

void PickleMachine::expect_unaltered(Id metadata) {
  if (value(metadata).kind == Kind::none) return;
  const std::vector<Id>& items = value(expect_kind(metadata, Kind::dict, "metadata")).items;
  for (size_t i = 1; i < items.size(); i += 2)
    if (value(items[i]).integer != 0)
      refuse("has a tensor that is to be taken with {}, which is not done",
             printable(value(items[i - 1]).text));
}

}  // namespace pal
