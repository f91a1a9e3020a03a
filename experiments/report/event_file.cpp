#include "experiments/report/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>

#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

// Fields of Event, Summary, Summary.Value and SessionLog, as (number << 3 | wire type).
constexpr char kWallTime = 1 << 3 | 1;     // double
constexpr char kStep = 2 << 3 | 0;         // int64
constexpr char kFileVersion = 3 << 3 | 2;  // string
constexpr char kSummary = 5 << 3 | 2;      // message
constexpr char kSessionLog = 7 << 3 | 2;   // message
constexpr char kValue = 1 << 3 | 2;        // message, repeated
constexpr char kTag = 1 << 3 | 2;          // string
constexpr char kSimpleValue = 2 << 3 | 5;  // float
constexpr char kStatus = 1 << 3 | 0;       // enum
constexpr uint64_t kSessionStart = 1;

template <typename T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string text_field(char field, std::string_view text) {
  return field + varint(text.size()) + std::string(text);
}

std::string event(double wall_time, int64_t step, std::string_view content) {
  return std::string(1, kWallTime) + little_endian(std::bit_cast<uint64_t>(wall_time)) + kStep +
         varint(static_cast<uint64_t>(step)) + std::string(content);
}

std::string scalar(const std::string& tag, double value) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  return text_field(kValue, text_field(kTag, tag) + kSimpleValue + little_endian(bits));
}

/// The scalars of an object's entries, those of objects in it included.
std::string scalars(const std::string& group, const nlohmann::ordered_json& object) {
  std::string values;
  for (const auto& [key, value] : object.items()) {
    const std::string tag = group + "/" + key;
    if (value.is_object()) values += scalars(tag, value);
    if (value.is_number()) values += scalar(tag, value.get<double>());
    if (value == "nan") values += scalar(tag, std::numeric_limits<double>::quiet_NaN());
    if (value == "inf") values += scalar(tag, std::numeric_limits<double>::infinity());
    if (value == "-inf") values += scalar(tag, -std::numeric_limits<double>::infinity());
  }
  return values;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string new_path(const std::string& folder) {
  make_folders(folder);
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {"localhost"};
  // TensorBoard reads a folder's files in the order of their names.
  return fmt::format("{}/events.out.tfevents.{:010}.{}.{:07}", folder,
                     static_cast<int64_t>(std::floor(now())), host.data(), ::getpid());
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc % 2 == 1 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

std::string tfrecord(std::string_view data) {
  const auto checksum = [](std::string_view bytes) {
    return little_endian(std::rotr(crc32c(bytes), 15) + 0xa282ead8U);
  };
  const std::string length = little_endian(uint64_t{data.size()});
  return length + checksum(length) + std::string(data) + checksum(data);
}

std::string scalar_event(const MetricsRow& row, double wall_time) {
  nlohmann::ordered_json entries = parse_ordered_json(row.json());
  std::string group = entries["kind"];
  const std::string model = entries.value("model", "final");
  if (model != "final") group += "_" + model;
  if (entries.value("weights", "raw") == "ema") group += "_ema";
  const int64_t step = entries.value("step", int64_t{0});
  for (const char* key : {"t", "step"}) entries.erase(key);
  return event(wall_time, step, text_field(kSummary, scalars(group, entries)));
}

EventFile::EventFile(const std::string& folder, int64_t first_step) : file_(new_path(folder)) {
  file_.append(tfrecord(event(now(), 0, text_field(kFileVersion, "brain.Event:2"))));
  file_.append(
      tfrecord(event(now(), first_step,
                     text_field(kSessionLog, std::string(1, kStatus) + varint(kSessionStart)))));
}

void EventFile::append(const MetricsRow& row) { file_.append(tfrecord(scalar_event(row, now()))); }

}  // namespace pal
