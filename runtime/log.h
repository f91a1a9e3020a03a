#pragma once
#include <fmt/core.h>

#include <string>
#include <utility>

namespace pal {

enum class LogLevel { quiet, normal, verbose };

/// Log lines go to stderr (and to a file, if one is set), one line each, with a time.
void set_log_level(LogLevel level);
/// Also appends every line to `path`. Throws environment if it cannot be opened.
void set_log_file(const std::string& path);

void log_line(const std::string& text);
void log_warning_line(const std::string& text);
void log_debug_line(const std::string& text);

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
