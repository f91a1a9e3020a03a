#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace pal {

/// Says how far counted work is.
class JobClock {
 public:
  /// A line of progress: "train: 1,200 of 6,000 pictures, 480/s, ETA 0:10".
  std::string text(const std::string& what, int64_t done, int64_t count,
                   const char* unit = "pictures") const;
  /// Seconds since the clock was made.
  double seconds() const;

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace pal
