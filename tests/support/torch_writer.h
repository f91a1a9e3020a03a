#pragma once
// Writes files as torch.save does, and as nobody should.
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "runtime/tensor.h"

namespace pal::testing {

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// A zip container of stored entries.
struct ZipWriter {
  /// Flag bit 3: sizes and checksum stand behind the data, as zeros in front of them.
  bool streams = false;
  /// All sizes and places in zip64 fields.
  bool wide = false;

  struct Entry {
    std::string name;
    std::string data;
    uint16_t method = 0;
    uint16_t flags = 0;
    std::string local_name = name;
    uint32_t checksum = static_cast<uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
    uint64_t size = data.size();
    /// Instead of where the entry really is.
    int64_t offset = -1;
  };

  std::string write(const std::vector<Entry>& entries, const std::string& comment = "") const {
    std::string file;
    std::string central;
    for (const Entry& entry : entries) {
      const uint64_t offset = entry.offset >= 0 ? static_cast<uint64_t>(entry.offset) : file.size();
      const auto flags = static_cast<uint16_t>(entry.flags | (streams ? 8 : 0));
      file += "PK\x03\x04" + common(entry, flags, streams ? 0 : entry.checksum,
                                    streams ? 0 : entry.size, entry.local_name.size());
      const std::string local64 = wide && !streams
                                      ? little_endian<uint16_t>(1) + little_endian<uint16_t>(16) +
                                            little_endian(entry.size) + little_endian(entry.size)
                                      : "";
      // Torch pads with such a field, so that data begin at multiples of 64.
      const std::string padding = std::string("FB\x05\0ZZZZZ", 9);
      file += little_endian(static_cast<uint16_t>(local64.size() + padding.size()));
      file += entry.local_name + local64 + padding + entry.data;
      if (streams)
        file += "PK\x07\x08" + little_endian(entry.checksum) +
                little_endian(static_cast<uint32_t>(entry.size)) +
                little_endian(static_cast<uint32_t>(entry.size));
      const std::string central64 =
          wide ? little_endian<uint16_t>(1) + little_endian<uint16_t>(24) +
                     little_endian(entry.size) + little_endian(entry.size) + little_endian(offset)
               : "";
      central += std::string("PK\x01\x02\x14\0", 6) +
                 common(entry, flags, entry.checksum, entry.size, entry.name.size()) +
                 little_endian(static_cast<uint16_t>(central64.size())) + std::string(10, '\0') +
                 little_endian(wide ? 0xffffffffU : static_cast<uint32_t>(offset)) + entry.name +
                 central64;
    }
    const uint64_t begin = file.size();
    const uint64_t count = entries.size();
    file += central;
    if (wide) {
      const uint64_t end = file.size();
      file += "PK\x06\x06" + little_endian<uint64_t>(44) + std::string(12, '\0') +
              little_endian(count) + little_endian(count) +
              little_endian<uint64_t>(central.size()) + little_endian(begin);
      file += std::string("PK\x06\x07\0\0\0\0", 8) + little_endian(end) + little_endian(1U);
    }
    const auto narrow = static_cast<uint16_t>(wide ? 0xffff : count);
    file += std::string("PK\x05\x06\0\0\0\0", 8) + little_endian(narrow) + little_endian(narrow) +
            little_endian(static_cast<uint32_t>(central.size())) +
            little_endian(wide ? 0xffffffffU : static_cast<uint32_t>(begin)) +
            little_endian(static_cast<uint16_t>(comment.size())) + comment;
    return file;
  }

 private:
  /// What local and central headers share, without the extra field's length.
  std::string common(const Entry& entry, uint16_t flags, uint32_t checksum, uint64_t size,
                     size_t name_bytes) const {
    const uint32_t shown = wide && size > 0 ? 0xffffffffU : static_cast<uint32_t>(size);
    return little_endian<uint16_t>(20) + little_endian(flags) + little_endian(entry.method) +
           little_endian(0U) + little_endian(checksum) + little_endian(shown) +
           little_endian(shown) + little_endian(static_cast<uint16_t>(name_bytes));
  }
};

/// Pieces of pickles.
namespace pickle {

inline std::string begin() { return "\x80\x02"; }
inline std::string text(const std::string& value) {
  return "X" + little_endian(static_cast<uint32_t>(value.size())) + value;
}
inline std::string integer(int64_t value) { return "\x8a\x08" + little_endian(value); }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<int64_t>& values) {
  std::string bytes = "(";
  for (const int64_t value : values) bytes += integer(value);
  return bytes + "t";
}
inline std::string ordered_dict() { return global("collections", "OrderedDict") + ")R"; }
inline std::string storage(const std::string& type, const std::string& key, int64_t count,
                           bool legacy = false) {
  return "(" + text("storage") + global("torch", type) + text(key) + text("cuda:0") +
         integer(count) + (legacy ? "N" : "") + "tQ";
}
inline std::string tensor(const std::string& storage_bytes, int64_t offset,
                          const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage_bytes + integer(offset) +
         tuple(shape) + tuple(strides) + "\x89" + ordered_dict() + "tR";
}
inline std::string parameter(const std::string& tensor_bytes) {
  return global("torch._utils", "_rebuild_parameter") + "(" + tensor_bytes + "\x88" +
         ordered_dict() + "tR";
}

}  // namespace pickle

/// A dictionary of tensors and of dictionaries of tensors, written as torch.save writes it.
class TorchWriter {
 public:
  /// `name` may lead into a group: "inn/module_list.1.w". The tensor is dense f32 or i32, its
  /// extents as the file shall have them.
  void add(const std::string& name, const Tensor& tensor, std::vector<int64_t> shape = {}) {
    if (shape.empty())
      for (int axis = 0; axis < tensor.rank(); ++axis) shape.push_back(tensor.size(axis));
    entries_.push_back({name, tensor, std::move(shape)});
  }
  /// A pickled value in the outer dictionary.
  void add_value(const std::string& name, const std::string& value) {
    values_.emplace_back(name, value);
  }
  bool legacy = false;

  std::string write() const {
    std::string body = pickle::begin() + "}(";
    for (const auto& [name, value] : values_) body += pickle::text(name) + value;
    std::string group;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const std::string& name = entries_[i].name;
      const size_t slash = name.find('/');
      const std::string wanted = slash == std::string::npos ? "" : name.substr(0, slash);
      if (wanted != group) {
        if (!group.empty()) body += close_group();
        if (!wanted.empty()) body += pickle::text(wanted) + pickle::ordered_dict() + "(";
        group = wanted;
      }
      body += pickle::text(slash == std::string::npos ? name : name.substr(slash + 1)) + bytes(i);
    }
    if (!group.empty()) body += close_group();
    body += "u.";
    return legacy ? legacy_file(body) : zip_file(body);
  }

 private:
  struct Named {
    std::string name;
    Tensor tensor;
    std::vector<int64_t> shape;
  };

  /// A state dictionary carries versions of its layers as an attribute.
  static std::string close_group() {
    return "u}" + pickle::text("_metadata") + pickle::ordered_dict() + "sb";
  }
  std::string bytes(size_t i) const {
    const Named& entry = entries_[i];
    std::vector<int64_t> strides(entry.shape.size(), 1);
    for (size_t axis = strides.size(); axis > 1; --axis)
      strides[axis - 2] = strides[axis - 1] * entry.shape[axis - 1];
    const std::string type = entry.tensor.dtype() == DType::f32 ? "FloatStorage" : "IntStorage";
    return pickle::parameter(
        pickle::tensor(pickle::storage(type, std::to_string(i), entry.tensor.numel(), legacy), 0,
                       entry.shape, strides));
  }
  static std::string raw(const Tensor& tensor) {
    return {static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes())};
  }
  std::string zip_file(const std::string& body) const {
    std::vector<ZipWriter::Entry> entries = {{"archive/data.pkl", body},
                                             {"archive/byteorder", "little"}};
    for (size_t i = 0; i < entries_.size(); ++i)
      entries.push_back({"archive/data/" + std::to_string(i), raw(entries_[i].tensor)});
    entries.push_back({"archive/version", "3\n"});
    return ZipWriter{.streams = true}.write(entries);
  }
  std::string legacy_file(const std::string& body) const {
    std::string file = std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    file += std::string("\x80\x02M\xe9\x03.", 6);
    file += pickle::begin() + "}(" + pickle::text("little_endian") + "\x88u.";
    file += body + pickle::begin() + "](";
    for (size_t i = entries_.size(); i > 0; --i) file += pickle::text(std::to_string(i - 1));
    file += "e.";
    for (size_t i = entries_.size(); i > 0; --i)
      file += little_endian(entries_[i - 1].tensor.numel()) + raw(entries_[i - 1].tensor);
    return file;
  }

  std::vector<Named> entries_;
  std::vector<std::pair<std::string, std::string>> values_;
};

inline std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace pal::testing
