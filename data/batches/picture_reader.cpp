#include "data/batches/picture_reader.h"

#include <algorithm>

#include "data/batches/bad_images.h"
#include "data/batches/epoch_plan.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {
namespace {

constexpr size_t kMostWarnings = 5;

}  // namespace

PictureReader::PictureReader(const PictureSource& source, const std::vector<int64_t>& list,
                             const LoaderOptions& options, int64_t readers)
    : source_(source), list_(list), options_(options), bytes_(static_cast<size_t>(readers)) {}

int64_t PictureReader::read(int64_t reader, int64_t epoch, int64_t index, std::span<uint8_t> out) {
  std::vector<uint8_t>& bytes = bytes_[static_cast<size_t>(reader)];
  if (try_read(bytes, epoch, index, out)) return index;
  if (!options_.drop_last) return kLeftOut;
  // Bad pictures are few, so a search is cheaper than a table of places.
  auto next = std::find(list_.begin(), list_.end(), index);
  for (size_t tried = 1; tried < list_.size(); ++tried) {
    if (++next == list_.end()) next = list_.begin();
    if (try_read(bytes, epoch, *next, out)) return *next;
  }
  fail(ErrorKind::data, "{}: none of {} pictures can be read", source_.name(), list_.size());
}

bool PictureReader::try_read(std::vector<uint8_t>& bytes, int64_t epoch, int64_t index,
                             std::span<uint8_t> out) {
  try {
    // No picture within the limit needs more than some ten bytes a pixel.
    source_.read(index, bytes, most_file_bytes(options_.transform.limits));
    const Philox random(options_.seed, RandomPurpose::augment, image_stream(epoch, index));
    const std::string warning =
        make_views(bytes, source_.item_name(index), options_.transform, random, out);
    if (!warning.empty()) warn(index, warning);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data || options_.bad_images == nullptr) throw;
    options_.bad_images->add(index, error.what());
    return false;
  }
}

void PictureReader::warn(int64_t index, const std::string& warning) {
  const std::scoped_lock lock(warnings_mutex_);
  // Once of each picture, not in every epoch.
  if (warned_.size() > kMostWarnings || !warned_.insert(index).second) return;
  if (warned_.size() <= kMostWarnings)
    log_warning("{}: {}", source_.item_name(index), warning);
  else
    log_warning("{}: further warnings about pictures are not shown", source_.name());
}

}  // namespace pal
