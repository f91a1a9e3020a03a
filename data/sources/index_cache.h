#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/name_list.h"
#include "runtime/file_stamp.h"

namespace pal {

/// Where indices of data sets are kept between runs: `index` in the user's cache folder; empty
/// without a home.
std::string index_cache_folder();

/// Writes numbers and texts one after another into memory.
class CacheWriter {
 public:
  void number(int64_t value);
  void text(std::string_view value);
  void numbers(const std::vector<int64_t>& values);
  void texts(const std::vector<std::string>& values);
  void names(const NameList& value);
  void stamp(const FileStamp& value);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads back what a CacheWriter wrote. Throws data where the bytes do not hold what is asked for.
class CacheReader {
 public:
  explicit CacheReader(std::vector<uint8_t> bytes, size_t begin, size_t end)
      : bytes_(std::move(bytes)), at_(begin), end_(end) {}

  int64_t number();
  std::string text();
  std::vector<int64_t> numbers();
  std::vector<std::string> texts();
  NameList names();
  FileStamp stamp();
  bool at_end() const { return at_ == end_; }

 private:
  /// Reads a number of items, of at least `item` bytes each; throws unless they fit in what is
  /// left.
  size_t count(size_t item);
  const uint8_t* take(size_t size);

  std::vector<uint8_t> bytes_;
  size_t at_;
  size_t end_;
};

/// One index kept in a file that is named by a hash of what it indexes. Keeping is a convenience: a
/// broken or missing file, or one that cannot be written, is never an error.
class IndexCache {
 public:
  /// `kind` also stands for the format's version; `key` says what is indexed. Without a folder
  /// nothing is kept.
  IndexCache(const std::string& folder, const std::string& kind, const std::string& key);

  /// What was stored under the same kind and key, if it is whole.
  std::optional<CacheReader> load() const;
  void store(const CacheWriter& content) const;
  const std::string& path() const { return path_; }

 private:
  std::string folder_;
  std::string title_;
  std::string path_;
};

}  // namespace pal
