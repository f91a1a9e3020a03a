#include "layers/checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

struct ItemType {
  std::string_view name;
  int64_t bits;
  std::optional<DType> dtype;
};

constexpr std::array<ItemType, 22> kItemTypes = {
    {{"F32", 32, DType::f32},   {"F64", 64, DType::f64},
     {"BF16", 16, DType::bf16}, {"I32", 32, DType::i32},
     {"U8", 8, DType::u8},      {"F16", 16, {}},
     {"I64", 64, {}},           {"U64", 64, {}},
     {"U32", 32, {}},           {"I16", 16, {}},
     {"U16", 16, {}},           {"I8", 8, {}},
     {"BOOL", 8, {}},           {"C64", 64, {}},
     {"F8_E4M3", 8, {}},        {"F8_E5M2", 8, {}},
     {"F8_E8M0", 8, {}},        {"F8_E4M3FNUZ", 8, {}},
     {"F8_E5M2FNUZ", 8, {}},    {"F6_E2M3", 6, {}},
     {"F6_E3M2", 6, {}},        {"F4", 4, {}}}};

const ItemType* find_item_type(std::string_view name) {
  const auto* found =
      std::ranges::find_if(kItemTypes, [&](const ItemType& type) { return type.name == name; });
  return found == kItemTypes.end() ? nullptr : found;
}

/// Whether a name may be that of a type which the format does not have yet.
bool may_be_item_type(std::string_view name) {
  constexpr size_t kMost = 32;
  return !name.empty() && name.size() <= kMost && std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// Walks over the header and tells how far the JSON parser has read.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const uint8_t* at, const uint8_t** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *reinterpret_cast<const char*>(at_); }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const uint8_t* at_;
  const uint8_t** reached_;
};

/// Receives the header's JSON piece by piece and accepts the one form that the format allows.
class HeaderReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  HeaderReader(std::span<const uint8_t> file, const std::string& name,
               const SafetensorsLimits& limits)
      : file_(file), reached_(file.data() + 8), name_(name), limits_(limits) {}

  SafetensorsHeader read(size_t header_bytes) {
    const uint8_t* begin = file_.data() + 8;
    nlohmann::json::sax_parse(CountingIterator(begin, &reached_),
                              CountingIterator(begin + header_bytes, &reached_), this);
    header_.data_begin = static_cast<int64_t>(8 + header_bytes);
    return std::move(header_);
  }

  bool start_object(std::size_t) {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = key_ == "__metadata__" ? Place::metadata : Place::tensor;
      fields_.clear();
    } else {
      refuse("an object where none may be");
    }
    return true;
  }

  bool key(string_t& key) {
    if (place_ == Place::top) {
      if (!names_.insert(key).second) refuse("duplicate name {}", printable(key));
      if (static_cast<int64_t>(names_.size()) > limits_.tensors + 1)
        refuse("more than {} tensors", limits_.tensors);
      if (key != "__metadata__") {
        header_.tensors.emplace_back();
        header_.tensors.back().name = key;
      }
    } else if (place_ == Place::metadata) {
      if (header_.metadata.contains(key)) refuse("duplicate metadata key {}", printable(key));
    } else {
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        refuse("tensor {}: unknown key {}", tensor_name(), printable(key));
      if (!fields_.insert(key).second)
        refuse("tensor {}: duplicate key {}", tensor_name(), printable(key));
    }
    key_ = std::move(key);
    return true;
  }

  bool end_object() {
    if (place_ == Place::tensor && fields_.size() != 3)
      refuse("tensor {}: expected dtype, shape and data_offsets", tensor_name());
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ == Place::tensor && key_ == "shape")
      place_ = Place::shape;
    else if (place_ == Place::tensor && key_ == "data_offsets")
      place_ = Place::offsets;
    else
      refuse("an array where none may be");
    numbers_.clear();
    return true;
  }

  bool end_array() {
    TensorInfo& tensor = header_.tensors.back();
    if (place_ == Place::shape) {
      tensor.shape = numbers_;
    } else {
      if (numbers_.size() != 2) refuse("tensor {}: expected two data_offsets", tensor_name());
      tensor.begin = numbers_[0];
      tensor.end = numbers_[1];
    }
    place_ = Place::tensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) {
    if (place_ != Place::shape && place_ != Place::offsets) refuse("a number where none may be");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      refuse("tensor {}: number {} is too large", tensor_name(), value);
    if (static_cast<int64_t>(numbers_.size()) >= limits_.rank)
      refuse("tensor {}: more than {} extents", tensor_name(), limits_.rank);
    numbers_.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) {
    if (place_ == Place::metadata) {
      note_digest(value);
      header_.metadata.emplace(key_, std::move(value));
    } else if (place_ == Place::tensor && key_ == "dtype") {
      const ItemType* type = find_item_type(value);
      if (type == nullptr && !may_be_item_type(value))
        refuse("tensor {}: unknown dtype {}", tensor_name(), printable(value));
      header_.tensors.back().dtype_name = value;
      if (type != nullptr) header_.tensors.back().dtype = type->dtype;
    } else {
      refuse("a string where none may be");
    }
    return true;
  }

  bool number_integer(number_integer_t) { refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) { refuse("a number that is not a whole one"); }
  bool null() { refuse("a null"); }
  bool boolean(bool) { refuse("a boolean"); }
  bool binary(binary_t&) { refuse("a binary value"); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) {
    refuse("not valid JSON");
  }

 private:
  enum class Place { outside, top, metadata, tensor, shape, offsets };

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    fail(ErrorKind::data, "{}:{}: header: {}", name_, offset(),
         fmt::format(format, std::forward<Args>(args)...));
  }
  int64_t offset() const { return reached_ - file_.data(); }
  std::string tensor_name() const { return printable(header_.tensors.back().name); }

  // The parser has just passed the closing quote; the digits are only taken where they stand as
  // such.
  void note_digest(const std::string& value) {
    const auto length = static_cast<int64_t>(value.size());
    const int64_t begin = offset() - 1 - length;
    if (key_ == "digest" && begin > 8 &&
        std::equal(value.begin(), value.end(), file_.begin() + begin))
      header_.digest_offset = begin;
  }

  std::span<const uint8_t> file_;
  const uint8_t* reached_;
  const std::string& name_;
  const SafetensorsLimits& limits_;
  SafetensorsHeader header_;
  Place place_ = Place::outside;
  std::string key_;
  std::unordered_set<std::string> names_;
  std::set<std::string> fields_;
  std::vector<int64_t> numbers_;
};

/// What is wrong with the length of a tensor's range; none if it fits the shape. Of a type that is
/// not known, each number takes a bit or more.
std::optional<std::string> length_fault(const TensorInfo& tensor) {
  const ItemType* type = find_item_type(tensor.dtype_name);
  int64_t bits = type == nullptr ? 1 : type->bits;
  bool empty = false;
  for (const int64_t extent : tensor.shape) {
    empty = empty || extent == 0;
    // Whatever the order of the extents.
    if (__builtin_mul_overflow(bits, std::max<int64_t>(extent, 1), &bits))
      return "the product of its extents overflows";
  }
  if (empty) bits = 0;
  const int64_t length = tensor.end - tensor.begin;
  const int64_t least = bits / 8 + (bits % 8 == 0 ? 0 : 1);
  if (type == nullptr) {
    if (length >= least && (length > 0) == (bits > 0)) return std::nullopt;
    return fmt::format("its shape needs {} bytes or more, its range has {}", least, length);
  }
  if (bits % 8 != 0) return fmt::format("its shape needs {} bits, no whole bytes", bits);
  if (length == least) return std::nullopt;
  return fmt::format("its shape needs {} bytes, its range has {}", least, length);
}

void check_ranges(SafetensorsHeader& header, int64_t file_size, const std::string& file) {
  std::ranges::sort(header.tensors, [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  const int64_t data_bytes = file_size - header.data_begin;
  int64_t expected = 0;
  for (TensorInfo& tensor : header.tensors) {
    const auto refuse = [&](const std::string& what) {
      fail(ErrorKind::data, "{}:8: tensor {}: {}", file, printable(tensor.name), what);
    };
    if (tensor.end < tensor.begin || tensor.end > data_bytes)
      refuse(
          fmt::format("bytes {} to {} are not within the {} bytes of data; the file is cut, or "
                      "its header wrong",
                      tensor.begin, tensor.end, data_bytes));
    if (const auto fault = length_fault(tensor)) refuse(*fault);
    if (tensor.begin != expected)
      refuse(fmt::format("begins at byte {} of the data, the one before ends at {}", tensor.begin,
                         expected));
    expected = tensor.end;
    tensor.begin += header.data_begin;
    tensor.end += header.data_begin;
  }
  if (expected != data_bytes)
    fail(ErrorKind::data, "{}:{}: {} bytes after the last tensor", file,
         header.data_begin + expected, data_bytes - expected);
}

/// The number that a file of 8 bytes or more begins with.
uint64_t length_of_header(std::span<const uint8_t> start) {
  uint64_t bytes = 0;
  for (int i = 7; i >= 0; --i) bytes = bytes << 8 | start[static_cast<size_t>(i)];
  return bytes;
}

}  // namespace

int64_t TensorInfo::numel() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& name,
                                    const SafetensorsLimits& limits) {
  return parse_safetensors(file, static_cast<int64_t>(file.size()), name, limits);
}

int64_t safetensors_head_bytes(std::span<const uint8_t> start, int64_t file_bytes,
                               const SafetensorsLimits& limits) {
  if (start.size() < 8) return static_cast<int64_t>(start.size());
  const uint64_t header_bytes = length_of_header(start);
  if (header_bytes > static_cast<uint64_t>(std::min(limits.header_bytes, file_bytes - 8))) return 8;
  return static_cast<int64_t>(8 + header_bytes);
}

SafetensorsHeader parse_safetensors(std::span<const uint8_t> head, int64_t file_bytes,
                                    const std::string& name, const SafetensorsLimits& limits) {
  if (head.size() < 8)
    fail(ErrorKind::data, "{}:0: {} bytes, too short for a safetensors file", name, head.size());
  const uint64_t header_bytes = length_of_header(head);
  // A text or a picture read as a length gives an absurd one.
  if (header_bytes > static_cast<uint64_t>(limits.header_bytes) &&
      (head.size() < 9 || head[8] != '{'))
    fail(ErrorKind::data, "{}: not a safetensors checkpoint", name);
  if (header_bytes < 2 || header_bytes > static_cast<uint64_t>(limits.header_bytes))
    fail(ErrorKind::data, "{}:0: header of {} bytes, expected 2 to {}", name, header_bytes,
         limits.header_bytes);
  if (header_bytes > static_cast<uint64_t>(file_bytes - 8))
    fail(ErrorKind::data, "{}:0: header of {} bytes in a file of {}", name, header_bytes,
         file_bytes);
  const auto text = head.subspan(8, header_bytes);
  if (text[0] != '{') fail(ErrorKind::data, "{}:8: the header does not begin with {{", name);
  if (const size_t valid =
          valid_utf8_length({reinterpret_cast<const char*>(text.data()), text.size()});
      valid < text.size())
    fail(ErrorKind::data, "{}:{}: the header is not valid UTF-8", name, 8 + valid);
  SafetensorsHeader header = HeaderReader(head, name, limits).read(header_bytes);
  check_ranges(header, file_bytes, name);
  return header;
}

int64_t safetensors_item_size(const std::string& dtype_name) {
  const ItemType* type = find_item_type(dtype_name);
  return type == nullptr || type->bits % 8 != 0 ? 0 : type->bits / 8;
}

std::string safetensors_name_of(DType dtype) {
  const auto* found =
      std::ranges::find_if(kItemTypes, [&](const ItemType& type) { return type.dtype == dtype; });
  return std::string(found->name);
}

std::string printable(const std::string& text) {
  constexpr size_t kMost = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kMost))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (text.size() > kMost ? "...\"" : "\"");
}

}  // namespace pal
