#include "experiments/report/run_log.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "runtime/json.h"
#include "runtime/log.h"

namespace pal {

std::string json_number(double value) {
  if (std::isnan(value)) return "\"nan\"";
  if (std::isinf(value)) return value > 0 ? "\"inf\"" : "\"-inf\"";
  return json_text(nlohmann::json(value));
}

MetricsRow& MetricsRow::set(const std::string& key, double value) {
  return set_json(key, json_number(value));
}
MetricsRow& MetricsRow::set_count(const std::string& key, long long value) {
  return set_json(key, std::to_string(value));
}
MetricsRow& MetricsRow::set_text(const std::string& key, const std::string& value) {
  return set_json(key, json_text(nlohmann::json(value), -1, BadUtf8::replaced));
}
MetricsRow& MetricsRow::set_json(const std::string& key, const std::string& json) {
  entries_.emplace_back(key, json);
  return *this;
}

std::string MetricsRow::json() const {
  std::string text = "{";
  for (const auto& [key, value] : entries_)
    text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", key, value);
  return text + "}";
}

ProgressLine::ProgressLine(ProgressMode mode, bool quiet)
    : rewritten_(mode == ProgressMode::always ||
                 (mode == ProgressMode::automatic && ::isatty(STDERR_FILENO) != 0)),
      quiet_(quiet || mode == ProgressMode::never) {}

void ProgressLine::show(const std::string& text) {
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  const auto pause = rewritten_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(30000);
  if (last_ != std::chrono::steady_clock::time_point{} && now - last_ < pause) return;
  last_ = now;
  if (rewritten_) {
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
    shown_ = true;
  } else {
    log_line(text);
  }
}

void ProgressLine::clear() {
  if (!shown_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

std::string format_duration(double seconds) {
  const auto total = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  if (total >= 3600)
    return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

std::string progress_bar(double fraction, int width) {
  const int filled = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width);
  return "[" + std::string(static_cast<size_t>(filled), '=') +
         std::string(static_cast<size_t>(width - filled), ' ') + "]";
}

}  // namespace pal
