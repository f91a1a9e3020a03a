#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace pal {

/// Pictures that could not be read and were left out. Any thread may add to it.
class BadImageLog {
 public:
  /// For a set of `count` pictures: admits floor(most_share * count) bad ones, and one of any set:
  /// a share is meant for sets so large that one picture is a small one. `advice` ends the message
  /// about too many. Throws usage unless the share lies in [0, 1].
  BadImageLog(double most_share, int64_t count, std::string advice = "see bad-images-max");
  /// Notes the picture of this index once, whatever number of times it is met. Throws data, with
  /// `message` and the numbers, once there are more than admitted.
  void add(int64_t index, const std::string& message);
  /// The messages about all pictures that were noted, by index of the picture.
  std::map<int64_t, std::string> entries() const;
  /// Warns of each: "left out: MESSAGE".
  void warn() const;

 private:
  double most_share_;
  int64_t count_;
  int64_t most_;
  std::string advice_;
  mutable std::mutex mutex_;
  std::map<int64_t, std::string> entries_;
};

}  // namespace pal
