#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Labelled 8-bit images of one size, in memory.
struct ImageSet {
  std::string name;
  int64_t count = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t classes = 0;
  std::vector<std::string> class_names;  ///< one per class
  std::vector<uint8_t> pixels;           ///< [count, height, width, channels]
  std::vector<int32_t> labels;           ///< [count], each in [0, classes)
  uint64_t fingerprint = 0;              ///< XXH3 of pixels and labels: equal data, equal number

  int64_t image_size() const { return height * width * channels; }
};

enum class Split : uint8_t { train, validation, test, all };
const char* name_of(Split split);

/// Images [n, h, w] or [n, h, w, channels] and labels [n] from two IDX files, plain or gzip.
/// `classes` 0 means the largest label + 1. Throws data as `read_idx`; if the counts differ, with
/// both; if a label is not below `classes`, with its index and both numbers.
ImageSet load_idx_set(const std::string& images_path, const std::string& labels_path,
                      int64_t classes = 0);

/// A data set by name:
/// - `fashion-mnist`: 60,000 training and 10,000 test images, grey 28x28, of 10 classes. Looked for
/// in
///   `folder`, or if that is empty in $PALINDROME_DATA/fashion-mnist, $PALINDROME_DATA and the
///   folder of Debian's dataset-fashion-mnist.
/// - `digits`: OpenCV's 5,000 handwritten digits of 20x20, with a border of 4 zeros to 28x28.
/// Training
///   images are the first 80 columns of its sheet (4,000), test images the last 20. Looked for as
///   digits.png in `folder`, or else in $PALINDROME_DATA, ~/.cache/palindrome and where Debian's
///   opencv-doc puts it.
/// - `synthetic:CLASSES[:COUNT[:SIZE[:CHANNELS]]]`: see synthetic.h; COUNT training images (default
///   2048) of SIZE x SIZE (28) pixels with CHANNELS (1), a quarter as many test images.
/// - any other name is a folder with the four IDX files of the MNIST family
///   (train-images-idx3-ubyte[.gz], ...); the number of classes is the largest label of both parts
///   + 1.
/// `Split::all` is known to digits only. Throws data, naming the places looked at and the Debian
/// package, if files are missing; usage for a malformed name or split.
ImageSet load_dataset(const std::string& name, Split split, const std::string& folder = {});

/// Sets the fingerprint from pixels and labels.
void set_fingerprint(ImageSet& set);

/// Which images of a set without validation part train, and which choose checkpoints.
struct ValidationSplit {
  std::vector<int64_t> train;       ///< ascending indices
  std::vector<int64_t> validation;  ///< ascending indices
};

/// Takes the end of a seeded permutation of `count` images for validation: `amount` of them (from 1
/// on), that fraction (below 1), or for 0 the default: 5,000, or 10 % of fewer than 50,000 images
/// (interfaces.md, "Validation"). `name` is the set's, for messages. Throws usage if a part would
/// be empty.
ValidationSplit split_validation(const std::string& name, int64_t count, double amount,
                                 uint64_t seed);

}  // namespace pal
