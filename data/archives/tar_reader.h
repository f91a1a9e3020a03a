#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/archives/tar_format.h"
#include "runtime/error.h"
#include "runtime/random_reader.h"

namespace pal {

/// A file in a tar archive; offsets and sizes in bytes.
struct TarMember {
  std::string name;    ///< without a leading "./"
  int64_t header = 0;  ///< offset of its (last) header
  int64_t begin = 0;   ///< offset of its content
  int64_t size = 0;    ///< of its content
  /// False for what has no content here: symbolic links, devices, FIFOs, hard links to nothing.
  bool is_file = true;
};

/// Walks over the members of a tar archive: ustar, with GNU long names and pax records for path and
/// size, or as before POSIX (v7). Reads headers only, two kilobytes at a time. A hard link to a file
/// before it is that file under another name. Nothing is believed: throws data (ARCHIVE:OFFSET: ...)
/// for a wrong checksum, sizes that are no number or beyond the archive, cut members, pax records
/// that contradict the header, sparse files, absolute names, names with "..", other bytes after the
/// end, and compressed archives. Warnings: missing end blocks, archives one after another, what is no
/// file.
class TarReader {
 public:
  /// The archive must outlive the reader. Throws data if it is compressed or too short.
  explicit TarReader(const RandomReader& archive);

  /// Overwrites `member` with the next one; false at the end.
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
    std::optional<std::string> gnu_name, gnu_link;
    std::optional<std::string> path, link_path;
    std::optional<int64_t> size;
    bool any = false;
  };

  /// Where the content of a file lies.
  struct Place {
    int64_t begin;
    int64_t size;
  };

  /// Reads an archive up to a member.
  TarReader(const RandomReader& archive, int64_t end);

  template <typename... Args>
  [[noreturn]] void refuse(int64_t offset, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(ErrorKind::data, "{}:{}: {}", archive_.name(), offset,
         fmt::format(format, std::forward<Args>(args)...));
  }
  std::span<const uint8_t> view(int64_t offset, int64_t size);
  bool read_header();
  bool goes_on();
  int64_t number(TarField field, const char* what) const;
  std::string name_in_header() const;
  char member_type() const;
  std::string name() const;
  void read_long_name(int64_t size, std::optional<std::string>& name);
  void read_pax(int64_t size, bool global);
  void take_record(std::string_view key, std::string_view value, bool global);
  void take_name(TarMember& member) const;
  void finish_file(TarMember& member, int64_t size);
  void finish_hard_link(TarMember& member, int64_t size);
  void remember_files();
  void pass_over(TarMember& member);
  int64_t skip_content(int64_t size);

  const RandomReader& archive_;
  int64_t end_;            ///< bytes of the archive that are read
  int64_t at_ = 0;         ///< offset of the header to be read
  int64_t member_at_ = 0;  ///< offset of the first header of the member at hand
  int64_t header_at_ = 0;  ///< offset of the header at hand
  TarHeader header_{};
  Extra extra_;
  std::vector<uint8_t> window_;
  int64_t window_begin_ = 0;
  bool is_chain_ = false;  ///< an archive follows the end of another
  std::optional<std::unordered_map<std::string, Place>> files_;  ///< those before, by name
  int64_t passed_over_ = 0;                                      ///< members that are no files
  std::string first_passed_;
  int64_t first_passed_at_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace pal
