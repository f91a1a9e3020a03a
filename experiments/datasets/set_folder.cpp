#include "experiments/datasets/set_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
constexpr const char* kReadme = "README.txt";
constexpr const char* kSettings = "Settings: ";

/// The last line of a set's README.txt; empty if there is none.
std::string settings_of(const std::string& folder) {
  const std::string path = folder + "/" + kReadme;
  if (!path_is_file(path)) return "";
  const std::vector<uint8_t> bytes = read_file(path, 1 << 20);
  const std::string text(bytes.begin(), bytes.end());
  const size_t at = text.rfind(kSettings);
  if (at == std::string::npos) return "";
  return text.substr(at + std::strlen(kSettings),
                     text.find('\n', at) - at - std::strlen(kSettings));
}

}  // namespace

SetFolder::SetFolder(const std::string& folder, std::string settings)
    : folder_(folder), settings_(std::move(settings)) {
  while (folder_.size() > 1 && folder_.ends_with('/')) folder_.pop_back();
  partial_ = folder_ + ".partial";
  if (!folder_entries(folder_).empty()) {
    ready_ = settings_of(folder_) == settings_;
    expect(ready_, "{}: holds something else; remove it, or choose another folder with --output",
           folder_);
    return;
  }
  lock();
  // A killed run may have left its work.
  for (const std::string& part : {packages(), files()}) {
    remove_tree(part);
    make_folders(part);
  }
  try_place();
}

void SetFolder::try_place() {
  std::error_code missing;
  if (!fs::exists(fs::symlink_status(folder_, missing))) return;
  const std::string probe = partial_ + "/probe";
  make_folders(probe);
  if (std::rename(probe.c_str(), folder_.c_str()) == 0) return;
  const int reason = errno;
  close();
  fail(ErrorKind::environment,
       "{}: cannot become the set's folder: {}; name one that does not exist yet", folder_,
       std::strerror(reason));
}

void SetFolder::close() {
  remove_tree(partial_);
  ::close(lock_);
}

SetFolder::~SetFolder() {
  if (lock_ >= 0) close();
}

void SetFolder::lock() {
  make_folders(partial_);
  lock_ = ::open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0)
    fail(ErrorKind::environment, "{}: cannot open the folder: {}", partial_, std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(lock_);
  lock_ = -1;
  fail(ErrorKind::environment, "{}: another process is making this set; wait for it", partial_);
}

void SetFolder::finish(const std::string& readme) {
  write_atomic(files() + "/" + kReadme, readme + "\n" + kSettings + settings_ + "\n");
  sync_file_system(partial_);
  if (std::rename(files().c_str(), folder_.c_str()) != 0)
    fail(ErrorKind::environment, "{}: cannot put the set into its place: {}", folder_,
         std::strerror(errno));
  sync_folder(fs::absolute(folder_).parent_path().string());
}

void write_plain(const std::string& path, std::span<const uint8_t> bytes) {
  const auto fail_write = [&](int reason) {
    fail(ErrorKind::environment, "{}: cannot write: {}", path, std::strerror(reason));
  };
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) fail_write(errno);
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const int reason = errno;
  const bool closed = std::fclose(file) == 0;
  if (!written) fail_write(reason);
  if (!closed) fail_write(errno);
}

}  // namespace pal
