#include "experiments/measures/shared_images.h"

#include <algorithm>
#include <memory>

#include "runtime/error.h"

namespace pal {
namespace {

/// The images of every `size`-th batch from batch `rank` on, in their order.
std::vector<int64_t> dealt(const SharedImages& images, int64_t rank, int64_t size) {
  const std::vector<int64_t> all =
      images.indices.empty() ? all_images(images.set.info()) : images.indices;
  const auto count = static_cast<int64_t>(all.size());
  const int64_t batch = images.options.batch_size;
  std::vector<int64_t> mine;
  for (int64_t first = rank * batch; first < count; first += size * batch)
    mine.insert(mine.end(), all.begin() + first, all.begin() + std::min(first + batch, count));
  return mine;
}

std::unique_ptr<Batches> open_batches(const SharedImages& images, const RankRounds& rounds) {
  if (rounds.size() > 1)
    return images.set.batches(dealt(images, rounds.rank(), rounds.size()), images.options);
  return images.indices.empty() ? images.set.batches(images.options)
                                : images.set.batches(images.indices, images.options);
}

}  // namespace

void share_images(const SharedImages& images, const std::function<Message(const Batch&)>& say,
                  const std::function<void(Message&)>& take) {
  expect(images.options.batch_size >= 1, "batch-size: expected at least 1, got {}",
         images.options.batch_size);
  RankRounds rounds(images.ranks, images.options.bad_images);
  const int64_t in_round = images.options.batch_size * rounds.size();
  const int64_t all = std::max<int64_t>(1, (images.count() + in_round - 1) / in_round);
  // The first rank tells the others what is wrong with no images at all.
  const bool has_images =
      rounds.rank() == 0 || rounds.rank() * images.options.batch_size < images.count();
  std::unique_ptr<Batches> batches;
  for (int64_t round = 0; round < all; ++round)
    rounds.round(
        [&] {
          if (images.stop && images.stop()) throw Interrupted();
          // Opened here, where a failure is told to the others.
          if (!batches && has_images) batches = open_batches(images, rounds);
          return batches && round < batches->steps() ? say(batches->batch(0, round)) : Message();
        },
        [&](Message& message) {
          if (!message.bytes().empty()) take(message);
        });
  rounds.finish();
}

}  // namespace pal
