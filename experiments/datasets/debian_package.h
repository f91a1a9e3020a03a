#pragma once
#include <functional>
#include <string>
#include <vector>

namespace pal {

/// Files of a Debian package.
struct DebianPackage {
  std::string name;
  std::string version;
  std::string root;  ///< what stands for / in the package: empty if it is installed

  /// Where a file of the package lies; `absolute` is its path when installed.
  std::string path(const std::string& absolute) const { return root + absolute; }
};

/// Brings the files of Debian packages, without root's rights.
class PackageSource {
 public:
  /// Shows a line of progress.
  using Show = std::function<void(const std::string&)>;

  /// `files` are .deb files that are used instead of downloads. Throws data if one is broken,
  /// environment without dpkg-deb. `folder` is where packages are downloaded and unpacked; it must
  /// exist.
  PackageSource(const std::vector<std::string>& files, std::string folder, Show show);

  /// The package of that name: a given file unpacked, or the installed one if `needed`, a path in
  /// it, is there, or one that apt-get downloads. Throws data if a given file cannot be unpacked or
  /// lacks `needed`, environment if there is no network, apt-get, package or room.
  DebianPackage get(const std::string& name, const std::string& needed) const;

 private:
  struct File {
    std::string path;
    std::string name;
    std::string version;
  };

  static File examine(const std::string& path);
  std::string download(const std::string& name) const;
  DebianPackage unpack(const File& file, const std::string& needed) const;

  std::vector<File> files_;
  std::string folder_;
  Show show_;
};

}  // namespace pal
