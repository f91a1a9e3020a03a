#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/datasets/picture_parts.h"

namespace pal {

/// How pictures are checked.
struct CheckOptions {
  int64_t max_pixels = 100'000'000;  ///< larger pictures are bad
  int64_t workers = 1;               ///< threads that decode
  std::function<void(const std::string&)> show = [](const std::string&) {};  ///< progress
};

/// A picture that cannot be decoded, and why.
struct BadPicture {
  std::string file;
  std::string reason;
};

/// What a check found.
struct CheckResult {
  int64_t pictures = 0;         ///< that were looked at, bad ones included
  int64_t bytes = 0;            ///< of their files
  int64_t warnings = 0;         ///< pictures that are whole although something is bent
  std::vector<BadPicture> bad;  ///< in the order of the parts and their pictures
};

/// Decodes every picture. Throws what is no fault of a picture.
CheckResult check_pictures(const std::vector<PicturePart>& parts, const CheckOptions& options);

/// The result as JSON: {pictures, bytes, warnings, bad: [{file, reason}]}.
std::string to_json(const CheckResult& result);

}  // namespace pal
