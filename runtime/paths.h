#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// What lies at a path. The standard library's answers without exceptions take a disk that fails for a
// file that is not there, and then results differ in silence.
namespace pal {

/// Whether something lies at a path that this process may reach. Throws environment naming the path
/// and the system's reason where that cannot be found out.
bool path_exists(const std::filesystem::path& path);
/// Whether it is a regular file, or a link to one. Throws as above.
bool path_is_file(const std::filesystem::path& path);
/// Whether it is a folder, or a link to one. Throws as above.
bool path_is_folder(const std::filesystem::path& path);

/// The entries of a folder, in no order; none if there is no such folder. Throws environment naming
/// the folder if it cannot be listed.
std::vector<std::filesystem::directory_entry> folder_entries(const std::filesystem::path& folder);

/// A path without links and dots, absolute; what does not exist is kept as it is. Throws environment
/// where that cannot be found out.
std::filesystem::path canonical_path(const std::filesystem::path& path);
/// What a symbolic link holds; none if the path is no link, or leads nowhere. Throws as above.
std::optional<std::filesystem::path> link_target(const std::filesystem::path& path);

}  // namespace pal
