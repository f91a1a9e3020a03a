#pragma once
#include <filesystem>
#include <string>

#include "experiments/datasets/child_process.h"
#include "experiments/datasets/stamp_sources.h"
#include "tests/data/image_writers.h"

namespace pal::testing {

/// A Debian package made of a few files.
class FakePackage {
 public:
  FakePackage(const TemporaryFolder& folder, const std::string& name)
      : root_(folder.path() + "/" + name), file_(root_ + ".deb") {
    const std::string control = "Package: " + name +
                                "\nVersion: 1.2-3\nArchitecture: all\n"
                                "Maintainer: nobody <nobody@example.org>\nDescription: fake\n";
    add("/DEBIAN/control", {control.begin(), control.end()});
  }

  void add(const std::string& path, const Bytes& bytes) const {
    const std::string full = root_ + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream(full, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  /// Builds the .deb file and returns its path.
  std::string build() const {
    // dpkg-deb insists, whatever the umask.
    std::filesystem::permissions(root_ + "/DEBIAN", std::filesystem::perms(0755));
    return run_command({"dpkg-deb", "-Znone", "-b", root_, file_}).code == 0 ? file_ : "";
  }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
  std::string file_;
};

inline bool has_dpkg() {
  try {
    return run_command({"dpkg-deb", "--version"}).code == 0;
  } catch (const Error&) {
    return false;
  }
}

/// A filled circle of one colour on nothing.
inline Bytes disc_png(int side, uint8_t red, uint8_t green, uint8_t blue) {
  Bytes rows;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const int dx = 2 * x - side + 1;
      const int dy = 2 * y - side + 1;
      const uint8_t alpha = dx * dx + dy * dy <= side * side ? 255 : 0;
      append(rows, {red, green, blue, alpha});
    }
  PngOptions options;
  options.colour = PNG_COLOR_TYPE_RGB_ALPHA;
  return png_bytes(side, side, rows, options);
}

/// An opaque picture of one level.
inline Bytes square_png(int width, int height, uint8_t level) {
  return png_bytes(width, height, Bytes(static_cast<size_t>(3 * width * height), level));
}

}  // namespace pal::testing
