#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pal {

/// Reads a whole file. Throws data if it does not exist or is longer than `most` bytes, and
/// environment with the system's reason for any other failure.
std::vector<uint8_t> read_file(const std::string& path, int64_t most = int64_t{1} << 40);

/// The lines of a text file, without their ends; none if there is no such file. Throws as above.
std::vector<std::string> read_lines(const std::string& path);

/// Sink of `write_atomic`: appends bytes to the file being written.
using ByteSink = std::function<void(std::span<const uint8_t>)>;

/// Writes a file so that, whatever happens, `path` holds either its old content or all of the new
/// one: temporary file in the same folder, fsync, rename, fsync of the folder. `produce` is called
/// once with the sink. Throws environment for a device or pipe. On any failure the temporary file is removed and environment is thrown
/// naming the path and the system's reason.
void write_atomic(const std::string& path, const std::function<void(const ByteSink&)>& produce);
/// Replaces the file by `content` in the same way, all of it or nothing.
void write_atomic(const std::string& path, const std::string& content);

/// Makes `link` a symbolic link to `target`, in one step if there is one of that name already.
/// Throws environment naming the link and the system's reason.
void link_atomic(const std::string& target, const std::string& link);

/// Has what was written in a folder's file system, or the folder's own entries, on the disk. Throws
/// environment with the reason.
void sync_file_system(const std::string& folder);
void sync_folder(const std::string& folder);

/// Removes a folder with all that it holds, if it is there; warns if it cannot.
void remove_tree(const std::string& folder);
/// Removes a file or an empty folder, if it is there; warns if it cannot, as what stays takes room but does no harm.
void remove_file(const std::string& path);

/// Whether a file's name is that of a temporary file of `write_atomic`.
bool is_leftover(const std::string& name);
/// Removes temporary files that a killed `write_atomic` left in a folder. One of the same file is
/// taken over by the next `write_atomic` to it.
void remove_leftovers(const std::string& folder);
/// Removes that of one file, for a program that will not write it.
void remove_leftover(const std::string& path);

/// Bytes that this user may still write on the file system of a folder; -1 if unknown.
int64_t free_bytes(const std::string& folder);

/// Makes a folder and its parents. Throws environment with the reason.
void make_folders(const std::string& folder);

}  // namespace pal
