#include "experiments/training/train_data.h"

#include <algorithm>
#include <bit>

#include "data/batches/order.h"
#include "runtime/error.h"

namespace pal {
namespace {

void expect_same_images(const DatasetInfo& train, const DatasetInfo& validation) {
  expect(train.class_names == validation.class_names, "{}: not the classes of {}: {}",
         validation.name, train.name, class_difference(train.class_names, validation.class_names));
  expect(train.height == validation.height && train.width == validation.width &&
             train.channels == validation.channels,
         "{}: images of {}x{}x{}, but {} has {}x{}x{}", train.name, train.height, train.width,
         train.channels, validation.name, validation.height, validation.width, validation.channels);
}

}  // namespace

std::string class_difference(const std::vector<std::string>& before,
                             const std::vector<std::string>& now) {
  const auto [was, is] = std::ranges::mismatch(before, now);
  return fmt::format("number {} of {} was '{}', is '{}' of {}", was - before.begin(), before.size(),
                     was != before.end() ? *was : "none", is != now.end() ? *is : "none",
                     now.size());
}

TrainData::TrainData(const TrainOptions& options, Device device) : seed_(options.seed) {
  DatasetSpec spec = train_dataset(options);
  train_ = open_dataset(spec, Split::train);
  const DatasetInfo& info = train_->info();
  expect(info.height == info.width, "{}: expected square images, got {}x{}", info.name, info.width,
         info.height);
  input_ = input_spec(options.mean, options.std, info.channels);
  input_.class_names = info.class_names;

  ValidationSplit split = split_training(spec, info, options.validation, options.seed);
  validation_images_ = std::move(split.validation);
  if (validation_images_.empty()) {
    spec.shard_classes = info.class_names;
    validation_ = open_dataset(spec, Split::validation);
    expect_same_images(info, validation_->info());
    validation_images_ = all_images(validation_->info());
    validation_log_ = bad_image_log(options.data, validation_->info().count);
  }
  train_log_ = bad_image_log(options.data, info.count);
  LoaderOptions loader = loader_options(options);
  loader.mean = input_.mean;
  loader.std = input_.std;
  loader.device = device;
  loader.workers = worker_count(options.data, device);
  loader.bad_images = train_log_.get();
  loader_ = train_->batches(std::move(split.train), loader);
}

uint64_t TrainData::fingerprint() const {
  return validation_ ? std::rotl(info().fingerprint, 1) ^ validation_->info().fingerprint
                     : info().fingerprint;
}

std::string TrainData::fingerprint_text() const { return fmt::format("{:016x}", fingerprint()); }

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
