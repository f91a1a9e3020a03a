#include "experiments/training/train_data.h"

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "data/batches/order.h"
#include "data/sources/class_names.h"
#include "experiments/measures/rank_rounds.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// An epoch that leaves over more than one image in so many is worth a line.
constexpr int64_t kWorthSaying = 100;

void expect_same_images(const DatasetInfo& train, const DatasetInfo& validation) {
  expect(train.class_names == validation.class_names, "{}: not the classes of {}: {}; {}",
         validation.name, train.name, class_difference(train.class_names, validation.class_names),
         class_name_lists("training", train.class_names, "validation", validation.class_names));
  expect(train.height == validation.height && train.width == validation.width &&
             train.channels == validation.channels,
         "{}: images of {}x{}x{}, but {} has {}x{}x{}", train.name, train.height, train.width,
         train.channels, validation.name, validation.height, validation.width, validation.channels);
}

/// The first of `names` that is not among `others`; null if there is none.
const std::string* first_missing(const std::vector<std::string>& names,
                                 const std::vector<std::string>& others) {
  const std::unordered_set<std::string> known(others.begin(), others.end());
  const auto found =
      std::ranges::find_if(names, [&](const std::string& name) { return !known.contains(name); });
  return found == names.end() ? nullptr : &*found;
}

/// Says that there is no validation part, and what is done about it.
void log_held_out(const DatasetSpec& spec, const DatasetInfo& info, size_t held_out) {
  const DatasetParts parts = parts_of(spec);
  const bool named = info.name.ends_with(".tar");
  const char* lacks = named              ? "shards that were named are one part"
                      : parts.whole()    ? "class folders without train/ and val/"
                      : parts.validation ? "the validation part is not used"
                                         : "no validation part";
  log_info("{}: {}: {} of its {} pictures are held out to choose checkpoints", info.name, lacks,
           held_out, info.count);
}

void warn_of_lost_colour(const Dataset& set) {
  if (set.info().channels == 1 && set.has_colour())
    log_warning(
        "{}: pictures are coloured, but the network sees grey; choose an architecture for colour, "
        "such as -a ibinn-small",
        set.info().name);
}

}  // namespace

std::string class_difference(const std::vector<std::string>& before,
                             const std::vector<std::string>& now) {
  if (const std::string* added = first_missing(now, before))
    return fmt::format("class '{}' is new", one_line(*added));
  if (const std::string* gone = first_missing(before, now))
    return fmt::format("class '{}' is missing", one_line(*gone));
  return "the same classes in another order";
}

TrainData::TrainData(const TrainOptions& options, Device device) : seed_(options.seed) {
  DatasetSpec spec = train_dataset(options);
  spec.same_classes = true;
  train_ = open_dataset(spec, Split::train);
  const DatasetInfo& info = train_->info();
  expect(info.height == info.width, "{}: expected square images, got {}x{}", info.name, info.width,
         info.height);
  expect(options.init_from.empty() || options.mean.empty() ||
             static_cast<int64_t>(options.mean.size()) == info.channels,
         "--init-from: {} is a network for {} channel{}, and {} has {}", options.init_from,
         options.mean.size(), options.mean.size() == 1 ? "" : "s", info.name, info.channels);
  input_ = input_spec(options.mean, options.std, info.channels);
  input_.class_names = info.class_names;
  warn_of_lost_colour(*train_);

  ValidationSplit split;
  with_dashes([&] { split = split_training(spec, info, options.validation, options.seed); });
  expect(options.shift <= info.height, "--shift: {} pixels are more than the images' {}",
         options.shift, info.height);
  validation_images_ = std::move(split.validation);
  if (validation_images_.empty()) {
    spec.shard_classes = info.class_names;
    validation_ = open_dataset(spec, Split::validation);
    expect_same_images(info, validation_->info());
    validation_images_ = all_images(validation_->info());
    validation_log_ = bad_image_log(options.data, validation_->info().count);
  } else if (train_->in_memory() == nullptr) {
    log_held_out(spec, info, validation_images_.size());
  }
  train_log_ = bad_image_log(options.data, info.count);
  LoaderOptions loader = loader_options(options);
  loader.mean = input_.mean;
  loader.std = input_.std;
  loader.device = device;
  loader.workers = worker_count(options.data, device);
  loader.bad_images = train_log_.get();
  training_images_ = static_cast<int64_t>(split.train.size());
  expect(training_images_ >= loader.batch_size,
         "--batch-size: the {} training images of {} do not fill a batch of {}; use -b {} or less",
         training_images_, info.name, loader.batch_size,
         std::max<int64_t>(1, training_images_ / (loader.batch_size / options.batch_size)));
  training_indices_ = split.train;
  loader_ = train_->batches(std::move(split.train), loader);
  // What a large set loses, a part of one batch, is not worth a line.
  if (dropped_per_epoch() * kWorthSaying > training_images_)
    log_info("{}: {}", info.name, epoch_line());
}

Tensor TrainData::first_images(int64_t most) const {
  LoaderOptions all = loader_->options();
  all.share = {};
  all.prefetch = 0;
  all.batch_size = std::min(most, training_images_);
  return train_->batches(training_indices_, all)->batch(0, 0).images;
}

std::string TrainData::epoch_line() const {
  const int64_t dropped = dropped_per_epoch();
  if (dropped == 0) return fmt::format("{} training images", training_images_);
  return fmt::format(
      "{} training images; {} used per epoch: {} are left over each epoch, others each time; a "
      "smaller batch uses more",
      training_images_, loader_->count(), dropped);
}

uint64_t TrainData::fingerprint() const {
  return validation_ ? std::rotl(info().fingerprint, 1) ^ validation_->info().fingerprint
                     : info().fingerprint;
}

std::string TrainData::fingerprint_text() const { return fmt::format("{:016x}", fingerprint()); }

std::string TrainData::train_fingerprint_text() const {
  return fmt::format("{:016x}", info().fingerprint);
}

std::vector<int64_t> TrainData::validation_sample(int64_t most) const {
  const auto all = static_cast<int64_t>(validation_images_.size());
  if (all <= most) return validation_images_;
  std::vector<int64_t> order = split_order(all, seed_);
  order.resize(static_cast<size_t>(most));
  for (int64_t& place : order) place = validation_images_[static_cast<size_t>(place)];
  std::ranges::sort(order);
  return order;
}

BadImageLog* TrainData::validation_log() const {
  return validation_ ? validation_log_.get() : train_log_.get();
}

void TrainData::share_bad_images(Communicator& ranks) {
  if (!train_log_ || ranks.size() == 1) return;
  RankRounds rounds(&ranks, train_log_.get());
  // The second round tells of a list that became too long in the first.
  for (int i = 0; i < 2; ++i) rounds.round([] { return Message(); }, [](const Message&) {});
}

int64_t TrainData::bad_images() const {
  size_t count = 0;
  for (const auto* log : {train_log_.get(), validation_log_.get()})
    if (log != nullptr) count += log->entries().size();
  return static_cast<int64_t>(count);
}

std::string TrainData::bad_image_list() const {
  std::string text;
  for (const auto* log : {train_log_.get(), validation_log_.get()})
    if (log != nullptr)
      for (const auto& [index, message] : log->entries()) text += message + "\n";
  return text;
}

}  // namespace pal
