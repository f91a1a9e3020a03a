#pragma once
#include <string>
#include <string_view>

namespace pal {

/// A file that grows record by record, each handed over at once, so that a kill can tear only the
/// last one.
class AppendFile {
 public:
  /// Opens the file, new or at its end. Throws environment naming the path.
  explicit AppendFile(const std::string& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  /// Throws environment naming the path if the bytes cannot be written.
  void append(std::string_view bytes);

 private:
  std::string path_;
  int descriptor_;
};

}  // namespace pal
