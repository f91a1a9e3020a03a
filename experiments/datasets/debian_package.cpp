#include "experiments/datasets/debian_package.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <optional>
#include <sstream>

#include "experiments/datasets/child_process.h"
#include "experiments/report/run_log.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// An unpacked package of pictures is not much larger than its file; both lie there for a moment.
constexpr int64_t kRoomPerByte = 3;

/// Version of an installed package; nothing if it is not installed or dpkg is missing.
std::optional<std::string> installed_version(const std::string& name) {
  try {
    const CommandResult result =
        run_command({"dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", name});
    const std::string mark = "installed ";
    if (result.code == 0 && result.output.starts_with(mark))
      return result.output.substr(mark.size());
  } catch (const Error&) {
  }
  return std::nullopt;
}

/// One line of `apt-get download --print-uris`: 'URI' FILE BYTES HASH.
struct Download {
  std::string file;
  int64_t bytes = 0;
};

Download plan_download(const std::string& name) {
  const CommandResult result = run_command({"apt-get", "download", "--print-uris", name});
  std::istringstream words(result.output);
  std::string uri;
  Download download;
  if (result.code != 0 || !(words >> uri >> download.file >> download.bytes))
    fail(ErrorKind::environment,
         "{}: apt-get does not know the package ({}); run apt-get update, or give --package FILE",
         name, last_line(result.errors));
  return download;
}

int64_t bytes_in(const std::string& folder) {
  int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored))
    if (entry.is_regular_file(ignored)) bytes += static_cast<int64_t>(entry.file_size(ignored));
  return bytes;
}

std::string megabytes(double bytes) { return fmt::format("{:.1f}", bytes / 1e6); }

}  // namespace

PackageSource::PackageSource(const std::vector<std::string>& files, std::string folder, Show show)
    : folder_(std::move(folder)), show_(std::move(show)) {
  for (const std::string& file : files) files_.push_back(examine(file));
}

PackageSource::File PackageSource::examine(const std::string& path) {
  const CommandResult result =
      run_command({"dpkg-deb", "-f", fs::absolute(path).string(), "Package", "Version"});
  File file{path, "", ""};
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Package: ")) file.name = line.substr(9);
    if (line.starts_with("Version: ")) file.version = line.substr(9);
  }
  const CommandFault fault = fault_of(result);
  if (result.code != 0 && fault.kind == ErrorKind::environment)
    fail(fault.kind, "{}: cannot read the package: {}", path, fault.line);
  if (result.code != 0 || file.name.empty() || file.version.empty())
    fail(ErrorKind::data, "{}: not a Debian package: {}", path, fault.line);
  return file;
}

std::string PackageSource::download(const std::string& name) const {
  const Download plan = plan_download(name);
  const int64_t room = free_bytes(folder_);
  if (room >= 0 && room < kRoomPerByte * plan.bytes)
    fail(ErrorKind::environment, "{}: {} needs {} MB of room, {} MB are free", folder_, name,
         megabytes(static_cast<double>(kRoomPerByte * plan.bytes)),
         megabytes(static_cast<double>(room)));
  const std::string target = folder_ + "/" + name + ".download";
  make_folders(target);
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult result = run_command({"apt-get", "-q", "download", name}, target, [&] {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    const auto got = static_cast<double>(bytes_in(target));
    const double rate = got / std::max(passed.count(), 1e-3);
    show_(fmt::format(
        "{}: {} of {} MB, {} MB/s, ETA {}", name, megabytes(got),
        megabytes(static_cast<double>(plan.bytes)), megabytes(rate),
        rate > 0 ? format_duration((static_cast<double>(plan.bytes) - got) / rate) : "-"));
  });
  const std::string file = target + "/" + plan.file;
  if (result.code != 0 || !path_exists(file))
    fail(ErrorKind::environment,
         "{}: apt-get cannot download it ({}); check the network, or give --package FILE", name,
         last_line(result.errors));
  return file;
}

DebianPackage PackageSource::unpack(const File& file, const std::string& needed) const {
  DebianPackage package{file.name, file.version, folder_ + "/" + file.name};
  show_(fmt::format("{}: unpacking", file.name));
  make_folders(package.root);
  const CommandResult result =
      run_command({"dpkg-deb", "-x", fs::absolute(file.path).string(), package.root});
  if (const CommandFault fault = fault_of(result); result.code != 0)
    fail(fault.kind, "{}: cannot unpack into {}: {}", file.path, package.root, fault.line);
  if (!path_exists(package.path(needed)))
    fail(ErrorKind::data, "{}: holds no {}", file.path, needed);
  return package;
}

DebianPackage PackageSource::get(const std::string& name, const std::string& needed) const {
  const auto given = std::ranges::find(files_, name, &File::name);
  if (given != files_.end()) return unpack(*given, needed);
  if (path_exists(needed))
    if (const auto version = installed_version(name)) return {name, *version, ""};
  const std::string file = download(name);
  DebianPackage package = unpack(examine(file), needed);
  std::error_code ignored;
  fs::remove(file, ignored);
  return package;
}

}  // namespace pal
