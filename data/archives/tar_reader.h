#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/archives/tar_format.h"
#include "runtime/error.h"
#include "runtime/random_reader.h"

namespace pal {

/// A regular file in a tar archive; offsets and sizes in bytes.
struct TarMember {
  std::string name;    ///< without a leading "./"
  int64_t header = 0;  ///< offset of its (last) header
  int64_t begin = 0;   ///< offset of its content
  int64_t size = 0;    ///< of its content
};

/// Walks over the members of a tar archive: ustar, with GNU long names and pax records for path and
/// size. Reads headers only, two kilobytes at a time. Nothing is believed: throws data
/// (ARCHIVE:OFFSET: ...) for a wrong checksum, sizes that are no number or beyond the archive, cut
/// members, pax records that contradict the header, links, devices, sparse files, absolute names,
/// names with "..", bytes after the end, and compressed archives. Missing end blocks are a warning.
class TarReader {
 public:
  /// The archive must outlive the reader. Throws data if it is compressed or too short.
  explicit TarReader(const RandomReader& archive);

  /// Overwrites `member` with the next file; false at the end.
  bool next(TarMember& member);
  /// Up to kMostContent bytes of a member's content; valid until `next` or `content` is called
  /// again.
  std::span<const uint8_t> content(const TarMember& member);
  /// What is bent about the archive, without its name; complete once `next` has given false.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Bytes of a member's content that are read at most: 1 MiB.
  static constexpr int64_t kMostContent = 1 << 20;

 private:
  /// What extra headers said about the member to come.
  struct Extra {
    std::optional<std::string> gnu_name;
    std::optional<std::string> path;
    std::optional<int64_t> size;
    bool any = false;
  };

  template <typename... Args>
  [[noreturn]] void refuse(int64_t offset, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(ErrorKind::data, "{}:{}: {}", archive_.name(), offset,
         fmt::format(format, std::forward<Args>(args)...));
  }
  std::span<const uint8_t> view(int64_t offset, int64_t size);
  bool read_header();
  void check_end();
  int64_t number(TarField field, const char* what) const;
  std::string name_in_header() const;
  void read_long_name(int64_t size);
  void read_pax(int64_t size, bool global);
  void take_record(std::string_view key, std::string_view value, bool global);
  void finish_member(TarMember& member, int64_t size);
  int64_t skip_content(int64_t size);

  const RandomReader& archive_;
  int64_t at_ = 0;         ///< offset of the header to be read
  int64_t header_at_ = 0;  ///< offset of the header at hand
  TarHeader header_{};
  Extra extra_;
  std::vector<uint8_t> window_;
  int64_t window_begin_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace pal
