#pragma once
// The names that a pickle may ask for.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace pal {

/// A type of numbers in PyTorch's files.
struct PickleElement {
  /// As safetensors names it ("F32", "I64", ...); a type that safetensors lacks as PyTorch does.
  const char* dtype_name;
  int64_t bytes;
};

/// What comes of a call.
enum class PickleCall : uint8_t {
  ordered_dict,       ///< a dictionary of a list of pairs
  counter,            ///< a dictionary of a dictionary
  members,            ///< a tuple of the members of another container
  tensor,             ///< a view of a storage, of its type
  typed_tensor,       ///< a view of a storage, of the type that is the seventh argument
  same_tensor,        ///< the tensor that is the first argument
  attributed_tensor,  ///< what another call makes: function, class, its arguments, attributes
  arguments,          ///< a tensor that is no view of one storage; its arguments stand for it
  opaque              ///< a value that no network needs
};

/// A function, class or constant that a checkpoint may name.
struct PickleGlobal {
  enum class Kind : uint8_t { function, type, storage, dtype, constant };

  std::string name;  ///< with its module: "torch._utils._rebuild_tensor_v2"
  Kind kind = Kind::constant;
  /// Of a function or a type.
  PickleCall call = PickleCall::opaque;
  size_t least_arguments = 0;
  size_t most_arguments = 0;
  /// Of a storage or a dtype.
  PickleElement element = {"", 0};
};

/// The place, for pickle_global, of a name in the table of what PyTorch's own safe loader
/// (`torch.load` with `weights_only=True`) accepts; none if it is not there. Python 2's names of
/// built-in types, which pickles of protocol 2 have, are known.
std::optional<size_t> find_pickle_global(const std::string& module, const std::string& name);
/// PyTorch's class of storages, of the module torch, for a type of numbers as safetensors names it;
/// null if there is none.
const char* pickle_storage_name(const std::string& dtype_name);
/// The entry at a place that find_pickle_global gave.
const PickleGlobal& pickle_global(size_t place);

}  // namespace pal
