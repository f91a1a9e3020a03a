#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/sources/image_set.h"

namespace pal {

/// Loads images [n, h, w] or [n, h, w, channels] and labels [n] from two IDX files, plain or gzip.
/// `classes` 0 means the largest label + 1. Throws data as `read_idx`; if the counts differ, with
/// both; if a label is not below `classes`, with its index and both numbers.
ImageSet load_idx_set(const std::string& images_path, const std::string& labels_path,
                      int64_t classes = 0);

/// Loads images alone, all of one class. Throws data as load_idx_set.
ImageSet load_idx_images(const std::string& path);

/// Whether a folder holds train-images-idx3-ubyte or the same with .gz.
bool is_idx_folder(const std::string& folder);

/// Whether a folder holds any of the four IDX files of the MNIST family.
bool holds_idx_family(const std::string& folder);

/// Loads the training or test images (`t10k-*`) of a folder with the four IDX files of the MNIST
/// family, plain or gzip. `classes` 0 means the largest training label + 1. Throws data, naming the
/// file, if one is missing; else as `load_idx_set`. Warns of classes without training images.
ImageSet load_idx_folder(const std::string& folder, Split split, int64_t classes = 0);

/// Loads both parts of such a folder and forgets them. Returns what loading would warn of. Throws as
/// `load_idx_folder` for either.
std::vector<std::string> check_idx_folder(const std::string& folder);

}  // namespace pal
