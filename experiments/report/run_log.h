#pragma once
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/command_line/run_options.h"
#include "experiments/report/append_file.h"

namespace pal {

/// One line of metrics.jsonl: keys in the order they were set. Numbers that are not finite are
/// written as strings.
class MetricsRow {
 public:
  explicit MetricsRow(const std::string& kind) { set_text("kind", kind); }
  MetricsRow& set(const std::string& key, double value);
  MetricsRow& set_count(const std::string& key, long long value);
  MetricsRow& set_text(const std::string& key, const std::string& value);
  /// Sets a key to a value that is JSON already.
  MetricsRow& set_json(const std::string& key, const std::string& json);
  /// The row as one line of JSON.
  std::string json() const;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

/// A number as JSON: the shortest text that reads back the same; NaN and infinities as strings.
std::string json_number(double value);

/// Appends rows to a file. Each row is one write, so that a kill can tear only the last line.
class MetricsFile {
 public:
  /// Throws environment if the file cannot be opened for appending.
  explicit MetricsFile(const std::string& path) : file_(path) {}
  /// Tells every later row to `listener` too.
  void listen(std::function<void(const MetricsRow&)> listener) { listener_ = std::move(listener); }
  /// Throws environment naming the path if the row cannot be written.
  void append(const MetricsRow& row) {
    file_.append(row.json() + "\n");
    if (listener_) listener_(row);
  }

 private:
  AppendFile file_;
  std::function<void(const MetricsRow&)> listener_;
};

/// One rewritten line on a terminal; elsewhere a plain line every 30 seconds.
class ProgressLine {
 public:
  ProgressLine(ProgressMode mode, bool quiet);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows `text` if enough time has passed since the last one.
  void show(const std::string& text);
  /// Removes the rewritten line, before a permanent line is logged.
  void clear();

 private:
  bool rewritten_;
  bool quiet_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

/// A duration for people: "1:05:09" or "3:07".
std::string format_duration(double seconds);

/// A progress bar, "[=====     ]", for a fraction in [0, 1]; `width` characters between the
/// brackets.
std::string progress_bar(double fraction, int width);

}  // namespace pal
