// The file: the title ("palindrome index KIND", a line's end, KEY), the content, and a 64-bit XXH3
// of the content seeded with that of the title. Numbers are int64 as the machine has them; texts
// and lists begin with their size. A file that is not exactly so is not used.
#include "data/sources/index_cache.h"

#include <fmt/core.h>
#include <xxhash.h>

#include <cstring>

#include "data/sources/places.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace pal {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 33;

template <typename T>
std::string_view as_text(const T* values, size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

uint64_t checksum(std::string_view title, const uint8_t* bytes, size_t size) {
  return XXH3_64bits_withSeed(bytes, size, XXH3_64bits(title.data(), title.size()));
}

}  // namespace

std::string index_cache_folder() {
  const std::string folder = cache_folder();
  return folder.empty() ? "" : folder + "/index";
}

void CacheWriter::number(int64_t value) { bytes_ += as_text(&value, 1); }

void CacheWriter::text(std::string_view value) {
  number(static_cast<int64_t>(value.size()));
  bytes_ += value;
}

void CacheWriter::numbers(const std::vector<int64_t>& values) {
  number(static_cast<int64_t>(values.size()));
  bytes_ += as_text(values.data(), values.size());
}

void CacheWriter::texts(const std::vector<std::string>& values) {
  number(static_cast<int64_t>(values.size()));
  for (const std::string& value : values) text(value);
}

void CacheWriter::names(const NameList& value) {
  text(value.text());
  numbers(value.ends());
}

void CacheWriter::stamp(const FileStamp& value) {
  for (const int64_t part : {value.size, value.inode, value.modified, value.changed}) number(part);
}

const uint8_t* CacheReader::take(size_t size) {
  if (size > end_ - at_) fail(ErrorKind::data, "index:{}: the file ends early", at_);
  at_ += size;
  return bytes_.data() + (at_ - size);
}

size_t CacheReader::count(size_t item) {
  const int64_t value = number();
  if (value < 0 || static_cast<uint64_t>(value) > (end_ - at_) / item)
    fail(ErrorKind::data, "index:{}: {} items of {} bytes do not fit", at_, value, item);
  return static_cast<size_t>(value);
}

int64_t CacheReader::number() {
  int64_t value = 0;
  std::memcpy(&value, take(sizeof value), sizeof value);
  return value;
}

std::string CacheReader::text() {
  const size_t size = count(1);
  return {reinterpret_cast<const char*>(take(size)), size};
}

std::vector<int64_t> CacheReader::numbers() {
  std::vector<int64_t> values(count(sizeof(int64_t)));
  const size_t bytes = values.size() * sizeof(int64_t);
  if (bytes > 0) std::memcpy(values.data(), take(bytes), bytes);
  return values;
}

std::vector<std::string> CacheReader::texts() {
  std::vector<std::string> values(count(sizeof(int64_t)));
  for (std::string& value : values) value = text();
  return values;
}

NameList CacheReader::names() {
  std::string all = text();
  std::vector<int64_t> ends = numbers();
  int64_t before = 0;
  for (const int64_t end : ends) {
    if (end < before) fail(ErrorKind::data, "index:{}: names that end before they begin", at_);
    before = end;
  }
  if (before != static_cast<int64_t>(all.size()))
    fail(ErrorKind::data, "index:{}: names of {} bytes in {}", at_, before, all.size());
  return {std::move(all), std::move(ends)};
}

FileStamp CacheReader::stamp() {
  FileStamp value;
  for (int64_t* part : {&value.size, &value.inode, &value.modified, &value.changed})
    *part = number();
  return value;
}

IndexCache::IndexCache(const std::string& folder, const std::string& kind, const std::string& key)
    : folder_(folder), title_("palindrome index " + kind + "\n" + key) {
  const XXH128_hash_t hash = XXH3_128bits(title_.data(), title_.size());
  path_ = fmt::format("{}/{}-{:016x}{:016x}", folder, kind, hash.high64, hash.low64);
}

std::optional<CacheReader> IndexCache::load() const {
  if (folder_.empty()) return {};
  try {
    std::vector<uint8_t> bytes = read_file(path_, kMostBytes);
    const size_t begin = title_.size();
    if (bytes.size() < begin + sizeof(uint64_t)) return {};
    if (std::memcmp(bytes.data(), title_.data(), begin) != 0) return {};
    const size_t end = bytes.size() - sizeof(uint64_t);
    uint64_t noted = 0;
    std::memcpy(&noted, bytes.data() + end, sizeof noted);
    if (noted != checksum(title_, bytes.data() + begin, end - begin)) return {};
    return CacheReader(std::move(bytes), begin, end);
  } catch (const Error&) {
    return {};
  }
}

void IndexCache::store(const CacheWriter& content) const {
  if (folder_.empty()) return;
  try {
    make_folders(folder_);
    write_atomic(path_, [&](const ByteSink& sink) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(content.bytes().data());
      const size_t size = content.bytes().size();
      const uint64_t sum = checksum(title_, bytes, size);
      sink({reinterpret_cast<const uint8_t*>(title_.data()), title_.size()});
      sink({bytes, size});
      sink({reinterpret_cast<const uint8_t*>(&sum), sizeof sum});
    });
  } catch (const Error& error) {
    log_debug("the index is not kept: {}", error.what());
  }
}

}  // namespace pal
