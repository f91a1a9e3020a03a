#pragma once
#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/batches/batches.h"
#include "data/sources/picture_source.h"

namespace pal {

/// Reads and decodes pictures as the loader's options say, bad ones included.
class PictureReader {
 public:
  /// What `read` returns for a picture that is left out.
  static constexpr int64_t kLeftOut = -1;

  /// Source, options and `list`, the pictures that may replace bad ones, must outlive the reader.
  /// `readers` threads may read at once.
  PictureReader(const PictureSource& source, const std::vector<int64_t>& list,
                const LoaderOptions& options, int64_t readers);

  /// Overwrites `out` (u8 [views, size, size, channels]) with the views of a picture as it is in an
  /// epoch. Returns which picture that is: the wanted one, in training the next one of the list
  /// that can be read, or kLeftOut. `reader`, from [0, readers), tells threads apart. Throws what
  /// is no fault of the picture, and faults too if there is no log of bad images or it is full.
  int64_t read(int64_t reader, int64_t epoch, int64_t index, std::span<uint8_t> out);

 private:
  bool try_read(std::vector<uint8_t>& bytes, int64_t epoch, int64_t index, std::span<uint8_t> out);
  void warn(int64_t index, const std::string& warning);

  const PictureSource& source_;
  const std::vector<int64_t>& list_;
  const LoaderOptions& options_;
  std::vector<std::vector<uint8_t>> bytes_;  ///< a buffer for each reader
  std::mutex warnings_mutex_;
  std::set<int64_t> warned_;  ///< pictures with a warning that was shown, and one more
};

}  // namespace pal
