#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pal {

/// Bytes of a tar block. A header is one block of text fields (POSIX.1-2017, pax, "ustar
/// Interchange Format").
inline constexpr int64_t kTarBlock = 512;

/// Where a field lies in a tar header: its offset and size in bytes.
struct TarField {
  size_t begin;
  size_t size;
};

namespace tar_field {
inline constexpr TarField kName = {0, 100};
inline constexpr TarField kMode = {100, 8};
inline constexpr TarField kUid = {108, 8};
inline constexpr TarField kGid = {116, 8};
inline constexpr TarField kSize = {124, 12};
inline constexpr TarField kTime = {136, 12};
inline constexpr TarField kChecksum = {148, 8};
inline constexpr TarField kType = {156, 1};
inline constexpr TarField kLink = {157, 100};
inline constexpr TarField kMagic = {257, 8};  ///< with the version
inline constexpr TarField kMajor = {329, 8};
inline constexpr TarField kMinor = {337, 8};
inline constexpr TarField kPrefix = {345, 155};
}  // namespace tar_field

/// Magic and version in headers of ustar and pax archives, of GNU tar, and of those from before
/// POSIX (v7), which have no more than the link's name.
inline constexpr std::string_view kPosixMagic("ustar\00000", 8);
inline constexpr std::string_view kGnuMagic("ustar  \0", 8);
inline constexpr std::string_view kOldMagic("\0\0\0\0\0\0\0\0", 8);
/// Name of the pseudo member that holds a GNU long name.
inline constexpr std::string_view kGnuLongName = "././@LongLink";

/// Longest name of a member that is read or written, in bytes.
inline constexpr size_t kMaxTarName = 4096;

/// The bytes of one tar header.
using TarHeader = std::array<uint8_t, kTarBlock>;

/// The bytes of one field of a tar header, with what fills it up.
inline std::string_view tar_text(std::span<const uint8_t> header, TarField field) {
  return {reinterpret_cast<const char*>(header.data()) + field.begin, field.size};
}

/// Checksum of a tar header: the sum of all bytes, those of the checksum itself taken as spaces.
int64_t tar_checksum(std::span<const uint8_t> header);

/// A number of a tar header: octal digits, perhaps with spaces, or GNU's binary form. -1 if it is
/// none or does not fit.
int64_t tar_number(std::span<const uint8_t> header, TarField field);

/// Whether a block has the checksum of a tar header. Some old writers summed signed bytes.
bool is_tar_header(std::span<const uint8_t> block);

/// What is wrong with a member's name, or nothing: a shard names files below itself only.
std::string tar_name_fault(std::string_view name);

}  // namespace pal
