#include "experiments/robustness/cell_file.h"

#include "runtime/error.h"
#include "runtime/paths.h"

namespace pal {

std::optional<SafetensorsFile> find_cell_file(const std::string& path,
                                              const std::map<std::string, std::string>& metadata) {
  if (!path_exists(path)) return std::nullopt;
  SafetensorsFile file = SafetensorsFile::read(path);
  if (!file.verify_digest())
    fail(ErrorKind::data, "{}: its digest is missing or not that of its bytes; remove it", path);
  for (const auto& [key, value] : metadata) {
    const auto found = file.metadata().find(key);
    const std::string other = found == file.metadata().end() ? "none" : found->second;
    expect(other == value,
           "{}: made with {} {}, not {}; the folder holds results of one setting: name another -o",
           path, key, other, value);
  }
  return file;
}

}  // namespace pal
