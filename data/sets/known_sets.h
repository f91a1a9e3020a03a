#pragma once
#include <string>

#include "data/sources/image_set.h"

namespace pal {

/// Loads a part of a data set by name:
/// - `fashion-mnist`: 60,000 training and 10,000 test images, grey 28x28, of 10 classes. Looked
///   for in `folder`, or if that is empty in $PALINDROME_DATA/fashion-mnist, $PALINDROME_DATA and
///   the folder of Debian's dataset-fashion-mnist.
/// - `digits`: OpenCV's 5,000 handwritten digits of 20x20, with a border of 4 zeros to 28x28.
///   Training images are the first 80 columns of its sheet (4,000), test images the last 20. Looked
///   for as digits.png in `folder`, or else in $PALINDROME_DATA, ~/.cache/palindrome and where
///   Debian's opencv-doc puts it.
/// - `synthetic:CLASSES[:COUNT[:SIZE[:CHANNELS]]]`: see synthetic.h; COUNT training images (default
///   2048) of SIZE x SIZE (28) pixels with CHANNELS (1), a quarter as many test images.
/// - any other name is a folder with the four IDX files of the MNIST family
///   (train-images-idx3-ubyte[.gz], ...); the number of classes is the largest label of both parts
///   + 1.
/// `Split::all` is known to digits only. Throws data, naming the places looked at and the Debian
/// package, if files are missing; usage for a malformed name or split.
ImageSet load_dataset(const std::string& name, Split split, const std::string& folder = {});

/// Whether a name is one of these sets but a folder's: their images have one size.
bool is_of_fixed_size(const std::string& name);

}  // namespace pal
