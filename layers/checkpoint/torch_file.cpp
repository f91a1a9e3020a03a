#include "layers/checkpoint/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "layers/checkpoint/safetensors_header.h"
#include "runtime/error.h"

// What torch.save writes holds the objects as a pickle and the numbers apart, in storages that the
// pickle names by keys.
//   zip container   ARCHIVE/data.pkl is the pickle, ARCHIVE/data/KEY a storage
//   older stream    pickles of a magic number, the protocol, the machine, the objects and the list
//                   of keys; then for each key the count of its elements (int64) and the elements
// Either way the result is the same: places_ says where each storage begins, and a walk over the
// pickle's values finds the tensors, views of storages, and names them by the keys on the way.

namespace pal {
namespace {

using Kind = PickleValue::Kind;

constexpr std::array<uint8_t, 4> kZipMark = {'P', 'K', 3, 4};
/// The number 0x1950a86a20f9469cfc6c with which the older stream begins.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kProtocol = 1001;
constexpr int64_t kMostPath = 500;

template <typename... Args>
[[noreturn]] void refuse(const RandomReader& bytes, int64_t offset,
                         fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorKind::data, "{}:{}: {}", bytes.name(), offset,
       fmt::format(format, std::forward<Args>(args)...));
}

/// The member of a dictionary; null if there is none.
const PickleValue* member(const Pickle& pickle, const PickleValue& dict, std::string_view key) {
  if (dict.kind != Kind::dict) return nullptr;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& name = pickle.values[dict.items[i]];
    if (name.kind == Kind::string && name.text == key) return &pickle.values[dict.items[i + 1]];
  }
  return nullptr;
}

/// Walks over the values and calls `found(path, tensor)` for every tensor.
class Walk {
 public:
  using Found = std::function<void(const std::string& path, const PickleTensor& tensor)>;

  Walk(const Pickle& pickle, const PickleLimits& limits, const RandomReader& bytes, Found found)
      : pickle_(pickle), limits_(limits), bytes_(bytes), found_(std::move(found)) {}

  void visit(const PickleValue& value, const std::string& path, int depth) {
    // Values may be shared and contain themselves, so neither bound follows from the file's size.
    if (depth > limits_.depth)
      refuse(bytes_, 0, "pickle: {} nests more than {} deep", printable(path), limits_.depth);
    if (++visited_ > limits_.objects)
      refuse(bytes_, 0, "pickle: more than {} values, shared ones counted each time",
             limits_.objects);
    if (static_cast<int64_t>(path.size()) > kMostPath)
      refuse(bytes_, 0, "pickle: a path of more than {} bytes", kMostPath);
    if (value.kind == Kind::tensor)
      return found_(path.empty() ? "tensor" : path,
                    pickle_.tensors[static_cast<size_t>(value.integer)]);
    const bool is_dict = value.kind == Kind::dict;
    for (size_t i = is_dict ? 1 : 0; i < value.items.size(); i += is_dict ? 2 : 1) {
      const PickleValue& item = pickle_.values[value.items[i]];
      if (!holds_values(item)) {
        ++visited_;
        continue;
      }
      const std::string key =
          is_dict ? key_text(pickle_.values[value.items[i - 1]]) : std::to_string(i);
      visit(item, path.empty() ? key : fmt::format("{}.{}", path, key), depth + 1);
    }
  }

  static std::string key_text(const PickleValue& key) {
    if (key.kind == Kind::string) return key.text;
    if (key.kind == Kind::integer || key.kind == Kind::boolean) return std::to_string(key.integer);
    return "?";
  }

 private:
  static bool holds_values(const PickleValue& value) {
    return value.kind == Kind::tensor || value.kind == Kind::dict || value.kind == Kind::list ||
           value.kind == Kind::tuple;
  }

  const Pickle& pickle_;
  const PickleLimits& limits_;
  const RandomReader& bytes_;
  Found found_;
  int64_t visited_ = 0;
};

}  // namespace

bool is_torch_file(std::span<const uint8_t> head) {
  if (head.size() >= kZipMark.size() && std::ranges::equal(head.first(kZipMark.size()), kZipMark))
    return true;
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  return text.starts_with('\x80') && text.substr(0, 32).find(kMagic) != std::string_view::npos;
}

TorchFile::TorchFile(const std::string& path, const TorchLimits& limits)
    : bytes_(std::make_unique<FileReader>(path, path)) {
  open(limits);
}

TorchFile::TorchFile(std::span<const uint8_t> bytes, const std::string& name,
                     const TorchLimits& limits)
    : bytes_(std::make_unique<MemoryReader>(bytes, name)) {
  open(limits);
}

void TorchFile::open(const TorchLimits& limits) {
  std::vector<uint8_t> head(static_cast<size_t>(std::min<int64_t>(bytes_->size(), 32)));
  bytes_->read(0, head);
  if (!is_torch_file(head)) refuse(*bytes_, 0, "not a PyTorch file");
  const Pickle pickle = head[0] == kZipMark[0] ? open_zip(limits) : open_legacy(limits);
  storages_ = pickle.storages;
  if (pickle.top().kind == Kind::dict)
    for (size_t i = 0; i < pickle.top().items.size(); i += 2)
      keys_.push_back(Walk::key_text(pickle.values[pickle.top().items[i]]));
  list_tensors(pickle, limits.pickle);
}

Pickle TorchFile::open_zip(const TorchLimits& limits) {
  zip_.emplace(*bytes_, limits.zip);
  constexpr std::string_view kPickleName = "/data.pkl";
  std::string folder;
  for (const ZipEntry& entry : zip_->entries())
    if (entry.name.ends_with(kPickleName) && entry.name.find('/') == entry.name.rfind('/')) {
      if (!folder.empty()) refuse(*bytes_, entry.begin, "two entries data.pkl");
      folder = entry.name.substr(0, entry.name.find('/') + 1);
    }
  if (folder.empty()) refuse(*bytes_, 0, "a zip file without ARCHIVE/data.pkl, so not of PyTorch");
  if (const ZipEntry* order = zip_->find(folder + "byteorder")) {
    std::string text(static_cast<size_t>(std::min<int64_t>(order->size, 16)), '\0');
    zip_->verify(*order);
    bytes_->read(order->begin, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
    if (text != "little")
      refuse(*bytes_, order->begin, "byte order {}, expected \"little\"", printable(text));
  }
  const ZipEntry& values = *zip_->find(folder + "data.pkl");
  zip_->verify(values);
  Pickle pickle = parse_pickle(*bytes_, values.begin, values.begin + values.size, limits.pickle);
  for (const PickleStorage& storage : pickle.storages) {
    const ZipEntry* entry = zip_->find(folder + "data/" + storage.key);
    if (entry == nullptr)
      refuse(*bytes_, values.begin, "no entry {} for a storage",
             printable(folder + "data/" + storage.key));
    const int64_t item = storage.item_bytes;
    if (entry->size % item != 0 || entry->size / item != storage.count)
      refuse(*bytes_, entry->begin, "entry {} of {} bytes, expected {} elements of {}",
             printable(entry->name), entry->size, storage.count, storage.dtype_name);
    places_.push_back({entry->begin, entry});
  }
  return pickle;
}

Pickle TorchFile::open_legacy(const TorchLimits& limits) {
  const RandomReader& bytes = *bytes_;
  int64_t at = 0;
  const auto next = [&] {
    Pickle pickle = parse_pickle(bytes, at, bytes.size(), limits.pickle);
    at = pickle.end;
    return pickle;
  };
  if (const Pickle magic = next();
      magic.top().kind != Kind::wide_integer || magic.top().text != kMagic)
    refuse(bytes, 0, "not the number that PyTorch's older files begin with");
  if (const Pickle version = next();
      version.top().kind != Kind::integer || version.top().integer != kProtocol)
    refuse(bytes, at, "another protocol version than {}", kProtocol);
  {
    const Pickle system = next();
    const PickleValue* little = member(system, system.top(), "little_endian");
    if (little == nullptr || little->kind != Kind::boolean || little->integer != 1)
      refuse(bytes, at, "not written on a little-endian machine");
  }
  Pickle pickle = next();
  const Pickle keys = next();
  if (keys.top().kind != Kind::list || keys.top().items.size() != pickle.storages.size())
    refuse(bytes, at, "expected a list of {} storage keys", pickle.storages.size());
  std::map<std::string, size_t> by_key;
  for (size_t i = 0; i < pickle.storages.size(); ++i) by_key.emplace(pickle.storages[i].key, i);
  places_.resize(pickle.storages.size());
  for (const uint32_t id : keys.top().items) {
    const std::string& key = keys.values[id].text;
    const auto found = by_key.find(key);
    if (found == by_key.end())
      refuse(bytes, at, "storage {} comes twice or is not used", printable(key));
    const PickleStorage& storage = pickle.storages[found->second];
    int64_t count = 0;
    std::array<uint8_t, sizeof count> raw;
    bytes.read(at, raw);
    std::memcpy(&count, raw.data(), sizeof count);
    const int64_t item = storage.item_bytes;
    at += static_cast<int64_t>(sizeof count);
    if (count != storage.count || count > (bytes.size() - at) / item)
      refuse(bytes, at, "storage {} of {} elements, expected {}; the file ends at {}",
             printable(key), count, storage.count, bytes.size());
    places_[found->second].begin = at;
    at += count * item;
    by_key.erase(found);
  }
  if (at != bytes.size()) refuse(bytes, at, "{} bytes after the last storage", bytes.size() - at);
  return pickle;
}

void TorchFile::list_tensors(const Pickle& pickle, const PickleLimits& limits) {
  // Every byte of a checkpoint belongs to one tensor or a few; a file whose tensors are many times
  // as large as itself only wants to keep its readers busy.
  const int64_t most_bytes = 16 * bytes_->size();
  int64_t bytes = 0;
  std::vector<SourceTensor> tensors;
  Walk walk(pickle, limits, *bytes_, [&](const std::string& path, const PickleTensor& tensor) {
    tensors.push_back({path, tensor.dtype_name, tensor.view.shape, tensor.item_bytes});
    views_.push_back(tensor);
    bytes += tensors.back().bytes();
    if (static_cast<int64_t>(tensors.size()) > limits.tensors)
      refuse(*bytes_, 0, "more than {} tensors, shared ones counted each time", limits.tensors);
    if (bytes > most_bytes)
      refuse(*bytes_, 0, "tensors of more than {} bytes in a file of {}", most_bytes,
             bytes_->size());
  });
  walk.visit(pickle.top(), "", 0);
  set_tensors(std::move(tensors));
}

void TorchFile::read(const SourceTensor& tensor, std::span<uint8_t> target) const {
  const PickleTensor& stored = views_[position_of(tensor)];
  const TensorView& view = stored.view;
  const Place& place = places_[stored.storage];
  const auto item = static_cast<size_t>(tensor.item_bytes);
  const bool whole =
      place.entry != nullptr && static_cast<int64_t>(target.size()) == place.entry->size;
  if (is_dense(view) && whole && !place.verified) {
    zip_->read(*place.entry, target);
    place.verified = true;
    return;
  }
  if (place.entry != nullptr && !place.verified) zip_->verify(*place.entry);
  place.verified = true;
  if (target.empty()) return;
  const int64_t begin = place.begin + view.offset * static_cast<int64_t>(item);
  if (is_dense(view)) return bytes_->read(begin, target);
  std::vector<uint8_t> range(static_cast<size_t>(view_reach(view)) * item);
  bytes_->read(begin, range);
  gather_view(view, item, range, target);
}

void TorchFile::verify() const {
  if (!zip_) return;
  for (const ZipEntry& entry : zip_->entries()) zip_->verify(entry);
  for (const Place& place : places_) place.verified = true;
}

}  // namespace pal
