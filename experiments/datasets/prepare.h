#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pal {

/// How to make a data set out of Debian packages.
struct PrepareOptions {
  std::string output;                 ///< empty: below `data_folder`
  std::vector<std::string> packages;  ///< .deb files to use instead of downloads
  uint64_t seed = 0;
  int64_t size = 64;                ///< side of composed pictures
  int64_t count = 600;              ///< composed pictures of each class for training
  int64_t val_count = 100;          ///< composed pictures of each class for validation
  int64_t max_pixels = 40'000'000;  ///< larger pictures of clipart are left out
  int64_t workers = 1;              ///< threads that decode and compose
  std::function<void(const std::string&)> show = [](const std::string&) {};  ///< progress
};

/// A set that was made, its counts in pictures.
struct PreparedSet {
  std::string folder;
  bool made = false;  ///< false: it was there already, and the counts are 0
  int64_t train = 0;
  int64_t val = 0;
  int64_t left_out = 0;
};

/// $PALINDROME_DATA or the cache folder, where programs look for data sets. Throws environment
/// without a home.
std::string data_folder();

/// Makes a set of the cut-outs of tuxpaint-stamps-default, in ten classes, at random scale, place
/// and side on crops of the photographs of mate-backgrounds, as JPEG of several qualities and
/// subsamplings: FOLDER/train/CLASS and FOLDER/val/CLASS. No cut-out and no photograph is in both
/// parts. Each byte follows from the packages, the seed, size and counts. Throws as
/// `PackageSource`; usage for options that make no sense.
PreparedSet prepare_stamps(const PrepareOptions& options);

/// Makes a set of the colour pictures of openclipart-png in ten classes, a fifth of them for
/// validation; numbered pictures of one series stay together. Pictures above max_pixels, and links,
/// are left out and counted. Throws as `prepare_stamps`.
PreparedSet prepare_clipart(const PrepareOptions& options);

/// Copies the four files of dataset-fashion-mnist, as `load_dataset` wants them. Throws as
/// `PackageSource`.
PreparedSet prepare_fashion(const PrepareOptions& options);

/// Copies the sheet of digits of opencv-doc, as `load_dataset` wants it. Throws as `PackageSource`.
PreparedSet prepare_digits(const PrepareOptions& options);

}  // namespace pal
