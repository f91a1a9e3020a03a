#include "runtime/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "runtime/silent_log.h"

namespace pal {
namespace {

std::shared_ptr<spdlog::logger>& logger() {
  static auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("palindrome",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    // Warnings say so; ordinary lines carry the time alone.
    made->set_pattern("%H:%M:%S %v");
    return made;
  }();
  return instance;
}

/// Whether stderr gets nothing, whatever the level.
bool& is_silent() {
  static bool silent = false;
  return silent;
}

/// Of the file alone; null without one.
std::shared_ptr<spdlog::logger>& file_logger() {
  static std::shared_ptr<spdlog::logger> instance;
  return instance;
}

/// Warns once, on stderr alone, that the log file misses lines.
void warn_of_file(const std::string& path, const std::string& reason) {
  static std::atomic<bool> warned = false;
  if (warned.exchange(true) || is_silent()) return;
  logger()->sinks().front()->log(
      {"palindrome", spdlog::level::warn,
       fmt::format("warning: {}: not all lines are logged: {}", path, reason)});
}

}  // namespace

void set_log_level(LogLevel level) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::warn, spdlog::level::info,
                                                   spdlog::level::debug};
  if (!is_silent()) logger()->sinks().front()->set_level(kLevels[static_cast<int>(level)]);
  logger()->set_level(level == LogLevel::verbose ? spdlog::level::debug : spdlog::level::info);
}

void silence_log() {
  is_silent() = true;
  logger()->sinks().front()->set_level(spdlog::level::off);
}

void set_log_file(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    sink->set_pattern("%Y-%m-%d %H:%M:%S %v");
    logger()->sinks().push_back(sink);
    file_logger() = std::make_shared<spdlog::logger>("file", sink);
    for (const auto& into : {logger(), file_logger()}) {
      into->flush_on(spdlog::level::info);
      into->set_error_handler([path](const std::string& reason) { warn_of_file(path, reason); });
    }
  } catch (const spdlog::spdlog_ex& error) {
    warn_of_file(path, error.what());
  }
}

void log_file_line(const std::string& text) {
  if (file_logger() != nullptr) file_logger()->info(text);
}

void log_line(const std::string& text) { logger()->info(text); }
void log_warning_line(const std::string& text) { logger()->warn("warning: {}", text); }
void log_debug_line(const std::string& text) { logger()->debug(text); }

}  // namespace pal
