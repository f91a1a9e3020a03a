#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "experiments/report/append_file.h"
#include "experiments/report/run_log.h"

// TensorBoard's files of events: TFRecord frames around protocol buffers of type Event, of which
// few fields are needed.
namespace pal {

/// CRC-32C (Castagnoli) of bytes.
uint32_t crc32c(std::string_view bytes);

/// A TFRecord frame: length (64 bits), its masked CRC-32C, the data, their masked CRC-32C; little
/// endian.
std::string tfrecord(std::string_view data);

/// The numbers of a row of metrics as an Event, without its frame: the row's `step`, and one scalar
/// for each number, `loss` of a `train` row under the tag `train/loss`. Numbers of objects get tags
/// such as `train/memory/peak`. `t` and `step` get none; text but `nan`, `inf` and `-inf` neither.
/// A row with a `model` that is not `final` has tags of its own: `val_averaged/acc1`.
std::string scalar_event(const MetricsRow& row, double wall_time);

/// One process's part of a run, which TensorBoard reads while it grows:
/// FOLDER/events.out.tfevents.SECONDS.HOST.PID, an event a write.
class EventFile {
 public:
  /// Makes the folder and the file. `first_step` is the first step that this process will do:
  /// from there on, points that earlier processes wrote into the folder count no more. Throws
  /// environment naming the path.
  EventFile(const std::string& folder, int64_t first_step);
  /// Adds the numbers of a row (scalar_event) at the present time. Throws environment naming the
  /// path.
  void append(const MetricsRow& row);

 private:
  AppendFile file_;
};

}  // namespace pal
