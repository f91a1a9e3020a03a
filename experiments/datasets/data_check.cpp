#include "experiments/datasets/data_check.h"

#include <atomic>
#include <map>
#include <mutex>

#include "data/pictures/image_file.h"
#include "experiments/datasets/jobs.h"
#include "experiments/report/job_clock.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// A message without the file's name, which it begins with.
std::string reason_of(const std::string& message, const std::string& file) {
  if (!message.starts_with(file)) return message;
  return message.substr(std::min(message.size(), message.find_first_not_of(": ", file.size())));
}

}  // namespace

CheckResult check_pictures(const std::vector<PicturePart>& parts, const CheckOptions& options) {
  const ImageLimits limits{.max_pixels = options.max_pixels};
  CheckResult result;
  std::atomic<int64_t> bytes_read = 0;
  std::atomic<int64_t> warnings = 0;
  for (const PicturePart& part : parts) {
    const PictureSource& source = *part.source;
    std::mutex mutex;
    std::map<int64_t, BadPicture> bad;
    const auto check = [&](int64_t index) {
      thread_local std::vector<uint8_t> bytes;
      const std::string name = source.item_name(index);
      try {
        source.read(index, bytes, most_file_bytes(limits));
        bytes_read += static_cast<int64_t>(bytes.size());
        const Image image = decode_image(bytes, name, limits);
        if (!image.warnings.empty()) ++warnings;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data) throw;
        const std::lock_guard lock(mutex);
        bad[index] = {name, reason_of(error.what(), name)};
      }
    };
    const JobClock clock;
    run_jobs(source.count(), options.workers, check,
             [&](int64_t done) { options.show(clock.text(part.name, done, source.count())); });
    result.pictures += source.count();
    for (auto& [index, picture] : bad) result.bad.push_back(std::move(picture));
  }
  result.bytes = bytes_read;
  result.warnings = warnings;
  return result;
}

std::string to_json(const CheckResult& result) {
  nlohmann::ordered_json json = {
      {"pictures", result.pictures}, {"bytes", result.bytes}, {"warnings", result.warnings}};
  json["bad"] = nlohmann::ordered_json::array();
  for (const BadPicture& picture : result.bad)
    json["bad"].push_back({{"file", picture.file}, {"reason", picture.reason}});
  return json_text(json, -1, BadUtf8::replaced);
}

}  // namespace pal
