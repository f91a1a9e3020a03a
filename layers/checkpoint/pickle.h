#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "layers/checkpoint/tensor_view.h"
#include "runtime/random_reader.h"

namespace pal {

/// What a reader of pickles is ready to accept.
struct PickleLimits {
  int64_t bytes = 64 << 20;
  /// Values made or taken from the memo.
  int64_t objects = 1'000'000;
  int64_t tensors = 100'000;
  int64_t string_bytes = 1'000'000;
  int depth = 64;
};

/// One plain value; values name each other by their positions in Pickle::values.
struct PickleValue {
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    wide_integer,  ///< beyond 64 bits; its bytes are in `text`, the lowest first
    real,
    string,
    list,
    tuple,  ///< or a set, or what stands for a tensor that is no view of one storage
    dict,   ///< `items` are keys and values by turns; OrderedDict and Counter are such, too
    storage,
    tensor,
    global,  ///< a function, class or constant; `integer` is its place for pickle_global
    opaque   ///< a value that no network needs: bytes, a complex number, a device, ...
  };
  Kind kind = Kind::none;
  /// integer, boolean; of a storage or a tensor its position in the pickle's table.
  int64_t integer = 0;
  double real = 0.0;
  std::string text;
  std::vector<uint32_t> items;
};

/// A row of numbers that lies outside the pickle, which names it by a key.
struct PickleStorage {
  std::string key;
  /// Type of the numbers as PickleElement names it: "F32", "I64", ...
  std::string dtype_name;
  int64_t item_bytes = 0;  ///< bytes of one number
  /// How many numbers there are.
  int64_t count = 0;
};

/// A tensor: a view of one of the pickle's storages.
struct PickleTensor {
  /// Position in Pickle::storages.
  size_t storage = 0;
  /// Type of its numbers, which may be another than the storage's, and the bytes of one.
  std::string dtype_name;
  int64_t item_bytes = 0;
  /// In numbers of the tensor's type.
  TensorView view;
};

/// What a pickle holds. Values may be shared and may contain themselves, so whoever walks over them
/// must count.
struct Pickle {
  /// All values; a deque, as it grows without moving them.
  std::deque<PickleValue> values;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  /// Position of the value that was pickled.
  uint32_t root = 0;
  /// Offset of the first byte after the pickle.
  int64_t end = 0;

  /// The value that was pickled.
  const PickleValue& top() const { return values[root]; }
};

/// Reads the pickle in bytes [begin, end) as far as PyTorch's own safe loader does: a table of
/// instructions, and of names (pickle_names.h) that rebuild tensors and containers or stand for
/// values that are read past. Nothing is ever called or imported; whatever else a pickle asks for
/// throws data with the offset, the instruction and the name. Views are checked against the size of
/// their storage.
Pickle parse_pickle(const RandomReader& bytes, int64_t begin, int64_t end,
                    const PickleLimits& limits = {});

}  // namespace pal
