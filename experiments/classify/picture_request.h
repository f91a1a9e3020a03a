#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pal {

/// What pal-classify is asked about: a picture by its name, or the picture itself.
struct PictureRequest {
  std::optional<std::string> file;  ///< its name; none of a picture that came itself
  std::vector<uint8_t> picture;     ///< the PNG or JPEG file that came itself
  std::string id;                   ///< JSON that the answer repeats; empty: none
  std::string error;                ///< why nothing is looked at; empty: nothing is wrong
};

/// Names and texts that an answer repeats are no longer, in bytes.
inline constexpr size_t kMostNameBytes = 4096;
inline constexpr size_t kMostIdBytes = 256;
/// A line is no longer, in bytes: room for a picture of 48 MiB.
inline constexpr size_t kMostRequestBytes = size_t{64} << 20;

/// The request of a line without its end: one that begins with '{' is a JSON object of `file` (a
/// name) or `image` (base64 of the picture's file), and perhaps `id` (a text of at most kMostIdBytes
/// or a whole number); any other is a name as it is. What is wrong with it is its error: nothing is
/// thrown.
PictureRequest parse_request(std::string_view line);
/// The request of a name as it is; one of more than kMostNameBytes has an error.
PictureRequest request_by_name(std::string_view name);

}  // namespace pal
