#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "data/sources/picture_source.h"
#include "runtime/philox.h"
#include "tests/data/image_writers.h"

namespace pal::testing {

/// Encoded pictures in memory.
class MemorySource : public PictureSource {
 public:
  explicit MemorySource(std::vector<Bytes> pictures) : files(std::move(pictures)) {}

  const std::string& name() const override { return name_; }
  int64_t count() const override { return static_cast<int64_t>(files.size()); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int32_t label(int64_t index) const override { return static_cast<int32_t>(index % 3); }
  std::string item_name(int64_t index) const override { return "picture" + std::to_string(index); }
  void read(int64_t index, std::vector<uint8_t>& bytes, int64_t) const override {
    ++reads;
    if (before_read) before_read(index);
    bytes = files[static_cast<size_t>(index)];
  }
  uint64_t fingerprint() const override { return 77; }

  std::vector<Bytes> files;
  std::function<void(int64_t index)> before_read;
  mutable std::atomic<int64_t> reads = 0;

 private:
  std::string name_ = "memory";
  std::vector<std::string> class_names_ = {"a", "b", "c"};
};

/// Small colour pictures of several sizes and random contents; every third is a PNG.
inline std::vector<Bytes> random_pictures(int64_t count) {
  std::vector<Bytes> files;
  for (int64_t i = 0; i < count; ++i) {
    const int width = static_cast<int>(18 + i % 5);
    const int height = static_cast<int>(17 + i % 4);
    Bytes levels(static_cast<size_t>(width * height * 3));
    const Philox random(3, RandomPurpose::test, static_cast<uint64_t>(i));
    for (size_t k = 0; k < levels.size(); ++k)
      levels[k] = static_cast<uint8_t>(random.words(static_cast<uint32_t>(k / 4))[k % 4]);
    files.push_back(i % 3 == 2 ? png_bytes(width, height, levels)
                               : jpeg_bytes(width, height, levels));
  }
  return files;
}

}  // namespace pal::testing
