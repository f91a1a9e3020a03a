#include "layers/checkpoint/torch_writer.h"

#include <fmt/format.h>

#include "layers/checkpoint/pickle_names.h"
#include "layers/checkpoint/zip_writer.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Writes instructions of a pickle; those of Python's pickletools, by their names there.
class PickleText {
 public:
  const std::string& text() const { return text_; }

  void put(std::string_view instructions) {
    text_ += instructions;
  }  // such as MARK '(' and TUPLE 't'
  /// GLOBAL
  void name(const char* module, const char* what) { put(fmt::format("c{}\n{}\n", module, what)); }
  /// BINUNICODE
  void string(const std::string& value) {
    put("X");
    number(static_cast<uint32_t>(value.size()));
    put(value);
  }
  /// BININT1, BININT2, BININT or LONG1; at least 0
  void integer(int64_t value) {
    if (value < 0x100) {
      put("K");
      number(static_cast<uint8_t>(value));
    } else if (value < 0x10000) {
      put("M");
      number(static_cast<uint16_t>(value));
    } else if (value < 0x80000000) {
      put("J");
      number(static_cast<int32_t>(value));
    } else {
      put("\x8a\x08");
      number(value);
    }
  }
  void tuple(const std::vector<int64_t>& values) {
    put("(");
    for (const int64_t value : values) integer(value);
    put("t");
  }
  /// An empty collections.OrderedDict: EMPTY_TUPLE, REDUCE.
  void ordered_dict() {
    name("collections", "OrderedDict");
    put(")R");
  }

 private:
  template <typename T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string text_;
};

/// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks) of
/// the whole storage `key`, which is named to whoever loads the pickle (BINPERSID).
void add_tensor(PickleText& pickle, const StoredTensor& tensor, const std::string& key) {
  const char* const storage = pickle_storage_name(tensor.dtype_name);
  expect(storage != nullptr, "write_torch_file: {}: PyTorch has no storage of {}",
         printable(tensor.name), tensor.dtype_name);
  std::vector<int64_t> strides(tensor.shape.size(), 1);
  int64_t count = 1;
  for (size_t axis = strides.size(); axis-- > 0;) {
    strides[axis] = count;
    count *= tensor.shape[axis];
  }
  pickle.name("torch._utils", "_rebuild_tensor_v2");
  pickle.put("((");
  pickle.string("storage");
  pickle.name("torch", storage);
  pickle.string(key);
  pickle.string("cpu");
  pickle.integer(count);
  pickle.put("tQ");
  pickle.integer(0);
  pickle.tuple(tensor.shape);
  pickle.tuple(strides);
  pickle.put("\x89");
  pickle.ordered_dict();
  pickle.put("tR");
}

ZipPart text_part(const std::string& name, const std::string& text) {
  return {"archive/" + name, static_cast<int64_t>(text.size()), [text](const ByteSink& sink) {
            sink({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
          }};
}

}  // namespace

void write_torch_file(const std::string& path, const std::vector<TorchGroup>& groups) {
  PickleText pickle;
  std::vector<ZipPart> storages;
  // PROTO 2, EMPTY_DICT, MARK; then keys and values up to SETITEMS and STOP.
  pickle.put("\x80\x02}(");
  for (const TorchGroup& group : groups) {
    const bool named = !group.name.empty();
    if (named) {
      pickle.string(group.name);
      pickle.ordered_dict();
      pickle.put("(");
    }
    for (const StoredTensor& tensor : group.tensors) {
      const std::string key = std::to_string(storages.size());
      pickle.string(tensor.name);
      add_tensor(pickle, tensor, key);
      storages.push_back({"archive/data/" + key, tensor.bytes, tensor.feed});
    }
    if (named) pickle.put("u");
  }
  pickle.put("u.");
  std::vector<ZipPart> parts = {text_part("data.pkl", pickle.text()),
                                text_part("byteorder", "little")};
  parts.insert(parts.end(), storages.begin(), storages.end());
  parts.push_back(text_part("version", "3\n"));
  write_zip(path, parts);
}

}  // namespace pal
