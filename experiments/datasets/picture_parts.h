#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/sources/picture_source.h"

namespace pal {

/// Pictures that belong together: a part of a data set, or files.
struct PicturePart {
  std::string name;  ///< train, val or test of a set; else what was asked for
  std::unique_ptr<PictureSource> source;
};

/// The pictures that arguments name. Each is
/// - a folder that is divided into parts, in class folders or shards (data/sets/set_layout.h);
/// - any other folder: its class folders, and the pictures that lie in itself;
/// - a tar archive, or a pattern of several (shards/train-{000..146}.tar);
/// - a file, whatever it is called.
/// Throws data for what is missing, broken archives, and folders without pictures; else as
/// `tar_shards`.
std::vector<PicturePart> open_parts(const std::vector<std::string>& arguments);

}  // namespace pal
