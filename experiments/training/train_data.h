#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/batches/bad_images.h"
#include "data/sets/dataset.h"
#include "experiments/recipe/train_options.h"
#include "layers/models/model_io.h"
#include "runtime/communicator/communicator.h"
#include "runtime/error.h"

namespace pal {

/// The first class that two lists of class names do not share, or else that their order differs, as
/// a clause for messages.
std::string class_difference(const std::vector<std::string>& before,
                             const std::vector<std::string>& now);

/// What `body` returns, which reads pictures; an error about one of them says what can be done.
template <typename Body>
auto readable(Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data || std::string(error.what()).ends_with("check")) throw;
    fail(ErrorKind::data,
         "{}; --bad-images skip leaves such pictures out, pal-data check lists them all",
         error.what());
  }
}

/// The images of a training run: those that train and those that choose checkpoints, which are the
/// set's own validation part or are held out of the training images
/// (experiments/measures/README.md, 9).
class TrainData {
 public:
  /// Opens the sets. Logs how many pictures of a set that has no validation part are held out, and
  /// how many an epoch leaves over; warns if pictures are coloured and the network sees grey.
  /// Throws as `open_dataset`, and usage if the parts have other classes or sizes.
  TrainData(const TrainOptions& options, Device device);

  const DatasetInfo& info() const { return train_->info(); }
  /// Fingerprint of both parts together.
  uint64_t fingerprint() const;
  /// The fingerprint as 16 hexadecimal digits, as files record it.
  std::string fingerprint_text() const;
  /// The same of the training part alone, those held out of it included.
  std::string train_fingerprint_text() const;
  const InputSpec& input() const { return input_; }
  /// Images to train on: without those held out, and before an epoch leaves some over.
  int64_t training_images() const { return training_images_; }
  /// Images that each epoch leaves over, others each time, because they fill no batch.
  int64_t dropped_per_epoch() const { return training_images_ - loader_->count(); }
  /// "181 training images; 128 used per epoch: 53 are left over each epoch, others each time; a
  /// smaller batch uses more"; the number alone if all are used.
  std::string epoch_line() const;
  /// The first pictures of the first epoch, at most so many: the same whatever the number of ranks.
  Tensor first_images(int64_t most) const;
  Batches& training() { return *loader_; }
  const Batches& training() const { return *loader_; }

  const Dataset& validation_set() const { return validation_ ? *validation_ : *train_; }
  /// Images of validation_set() that choose checkpoints.
  const std::vector<int64_t>& validation_images() const { return validation_images_; }
  /// At most `most` of the images of validation_images(): the same random ones at any time.
  std::vector<int64_t> validation_sample(int64_t most) const;
  /// Where bad pictures of the validation set are noted; null: a bad picture is an error.
  BadImageLog* validation_log() const;

  /// Makes the pictures that other ranks left out known on this one; all ranks call it together,
  /// with their communicator for the host. Throws data, on all of them, where these are too many
  /// now.
  void share_bad_images(Communicator& ranks);
  /// Number of pictures that were left out so far.
  int64_t bad_images() const;
  /// One line for each picture that was left out, by name.
  std::string bad_image_list() const;

 private:
  std::unique_ptr<Dataset> train_;
  std::unique_ptr<Dataset> validation_;  // null: held out of train_
  std::vector<int64_t> validation_images_;
  InputSpec input_;
  uint64_t seed_;
  int64_t training_images_ = 0;
  std::unique_ptr<BadImageLog> train_log_, validation_log_;
  std::unique_ptr<Batches> loader_;
  std::vector<int64_t> training_indices_;
};

}  // namespace pal
