#pragma once
#include <fmt/core.h>

#include <string>
#include <utility>

namespace pal {

// Log lines go to stderr (and to a file, if one is set), one line each, with a time.

/// What is logged: quiet warnings only, normal also information, verbose also details.
enum class LogLevel { quiet, normal, verbose };

/// Which lines go to stderr from now on. The file has information whatever the level.
void set_log_level(LogLevel level);
/// Also appends every line to the file `path`. A file that cannot be opened, or written to later, is
/// warned of once: what is done matters more than its log.
void set_log_file(const std::string& path);
/// A line for the file alone, about what stderr is told in another way. Nothing without a file.
void log_file_line(const std::string& text);

/// Logs one line of information, a warning, or a detail.
void log_line(const std::string& text);
void log_warning_line(const std::string& text);
void log_debug_line(const std::string& text);

/// Formats and logs one line of information, a warning, or a detail.
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_warning_line(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_debug_line(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace pal
