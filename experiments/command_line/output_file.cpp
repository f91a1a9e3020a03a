#include "experiments/command_line/output_file.h"

#include <filesystem>

#include "runtime/error.h"

namespace pal {

void check_output_file(const std::string& flag, const std::string& path) {
  if (path.empty()) return;
  const std::filesystem::path file(path);
  std::error_code ignored;
  expect(file.has_filename() && !std::filesystem::is_directory(file, ignored),
         "{}: {} is a folder; name a file in it", flag, path);
  const std::filesystem::path folder = file.parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    fail(ErrorKind::environment, "{}: {}: there is no folder {}; make it first", flag, path,
         folder.string());
}

}  // namespace pal
