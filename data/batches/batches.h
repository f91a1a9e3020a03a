#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/pictures/transforms.h"
#include "runtime/tensor.h"

namespace pal {

class BadImageLog;

/// Which images of each batch a process sees. Ranks that work together have consecutive shares of
/// it, as equal as whole images allow, and each takes its share in consecutive parts: of n images
/// rank r of R has places [n r / R, n (r + 1) / R), part k of N of its m images the places
/// [m k / N, m (k + 1) / N) among them.
struct BatchShare {
  int rank = 0;   ///< from [0, ranks)
  int ranks = 1;  ///< processes that share a batch
  int parts = 1;  ///< in how many parts, one after another, each of them sees its share
};

/// How batches are made of images.
struct LoaderOptions {
  int64_t batch_size = 128;  ///< images in a batch, over all ranks and parts
  BatchShare share;          ///< which of them are delivered, as batches of their own
  uint64_t seed = 0;         ///< of order, augmentation and noise
  bool shuffle = true;       ///< a new order each epoch; else the order of the index list
  bool drop_last = true;     ///< leaves out the last, short batch (training); else it comes short
  bool flip = false;         ///< mirrors half of the images left to right
  int64_t shift = 0;         ///< pixels by which images move at most, both ways; level 0 fills up
  bool noise = true;         ///< adds uniform dequantisation noise of one level, 1/255
  bool clamp = false;        ///< clamps to 1 after the noise
  std::vector<float> mean;   ///< one per channel, of pixels in [0, 1]
  std::vector<float> std;    ///< one per channel
  Device device;             ///< where images are wanted

  // For encoded pictures only.
  TransformSpec transform;  ///< how they are cropped and resized
  int64_t workers = 1;      ///< threads that decode ahead; 0: the thread that asks decodes
  int64_t prefetch = 3;     ///< batches decoded ahead, at most
  /// Null: a picture that cannot be read is an error. Else it is noted there and, in training
  /// (drop_last), replaced by the next readable one of the index list, or left out of its batch.
  BadImageLog* bad_images = nullptr;
};

/// Options of evaluation by one process: every image once, in order, the noise of a fixed seed, no
/// augmentation (a random crop becomes the center crop).
LoaderOptions evaluation_options(LoaderOptions training);

/// Labelled images that a network sees together. A share of the last, short batch of an evaluation
/// may be without images: then `images` and `labels` are undefined.
struct Batch {
  /// f32 [n * views, height, width, channels], normalised, on the wanted device; the views of one
  /// image lie side by side.
  Tensor images;
  Tensor labels;                 ///< i32 [n], on the CPU
  std::vector<int64_t> indices;  ///< [n], of the images in their set
  int64_t first = 0;             ///< place of the first image in the epoch's order
  int64_t whole = 0;             ///< places of the batch over all ranks and parts
  int64_t views = 1;             ///< 10 under ten crops
};

/// Gives the memory for a batch's images: a dense f32 tensor of that shape on the wanted device.
using ImageMemory = std::function<Tensor(const Shape&)>;

/// Batches of some images of a set. What a batch holds is a pure function of (options, epoch,
/// step): augmentation and noise are keyed by (seed, epoch, index of the image in the set), so
/// nothing needs to be kept for a resumed run, the number of workers changes nothing, and
/// evaluation noise does not depend on the batch size. Which images make up a whole batch depends
/// neither on the number of ranks nor on that of parts. One thread uses an object at a time.
class Batches {
 public:
  virtual ~Batches() = default;

  virtual const LoaderOptions& options() const = 0;
  /// Images that one epoch delivers, over all ranks.
  virtual int64_t count() const = 0;
  /// Makes a batch, in memory of the tag data, its images in that of `images` if it is given.
  /// Throws usage for a step outside [0, steps()).
  Batch batch(int64_t epoch, int64_t step, const ImageMemory& images = {}) {
    return make_batch(epoch, step, images);
  }
  /// Seconds for which batch() has had nothing to do but wait for pictures.
  virtual double stall_seconds() const { return 0.0; }

  /// Parts of each whole batch; step s is part s mod parts() of whole batch s / parts().
  int64_t parts() const { return options().share.parts; }
  /// Whole batches of an epoch, the same number for all ranks.
  int64_t whole_steps() const {
    return (count() + options().batch_size - 1) / options().batch_size;
  }
  /// Batches of an epoch: whole batches times parts.
  int64_t steps() const { return whole_steps() * parts(); }

 protected:
  virtual Batch make_batch(int64_t epoch, int64_t step, const ImageMemory& images) = 0;
  Tensor memory_for(const Shape& shape, const ImageMemory& images) const {
    return images ? images(shape) : Tensor::empty(shape, DType::f32, Tag::data, options().device);
  }
};

}  // namespace pal
