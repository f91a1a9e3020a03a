#include "runtime/paths.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "runtime/error.h"
#include "runtime/random_reader.h"

namespace pal {
namespace {

/// The kind of what lies there; none if nothing does.
std::optional<mode_t> kind_of(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return info.st_mode & S_IFMT;
  const int reason = errno;
  if (is_file_fault(reason)) return std::nullopt;
  fail(ErrorKind::environment, "{}: cannot examine: {}", path.string(), std::strerror(reason));
}

}  // namespace

bool path_exists(const std::filesystem::path& path) { return kind_of(path).has_value(); }
bool path_is_file(const std::filesystem::path& path) { return kind_of(path) == mode_t{S_IFREG}; }
bool path_is_folder(const std::filesystem::path& path) { return kind_of(path) == mode_t{S_IFDIR}; }

std::vector<std::filesystem::directory_entry> folder_entries(const std::filesystem::path& folder) {
  std::vector<std::filesystem::directory_entry> entries;
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
    entries.push_back(*at);
  if (error && error.value() != ENOENT && error.value() != ENOTDIR)
    fail(ErrorKind::environment, "{}: cannot list the folder: {}", folder.string(),
         error.message());
  return entries;
}

std::filesystem::path canonical_path(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::weakly_canonical(path, error);
  if (error)
    fail(ErrorKind::environment, "{}: cannot follow its links: {}", path.string(), error.message());
  return whole;
}

std::optional<std::filesystem::path> link_target(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path target = std::filesystem::read_symlink(path, error);
  if (!error) return target;
  // EINVAL: it is no link.
  if (error.value() == EINVAL || is_file_fault(error.value())) return std::nullopt;
  fail(ErrorKind::environment, "{}: cannot read the link: {}", path.string(), error.message());
}

}  // namespace pal
