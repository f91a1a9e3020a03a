#pragma once
#include <vector>

#include "data/sets/dataset.h"
#include "runtime/communicator/communicator.h"

namespace pal {

/// The simplest density model of a data set: every pixel an independent Gaussian. What a flow's
/// bits/dim is compared with.
struct GaussianBaseline {
  std::vector<double> mean;      ///< one per value of an image, of x in [0, 1]
  std::vector<double> variance;  ///< as many, at least that of the noise
};

/// Mean and variance of x = (v + u) / 255 over the images of a set, v the level, u uniform on
/// [0, 1). The noise enters exactly, as 1/2 of a level in the mean and 1/12 of a squared level in
/// the variance, which is the only floor that pixels without contrast need. Of `options`, what
/// concerns decoding counts (transform, workers, bad images). `ranks`, which exchange tensors on the
/// CPU and may be null, share the images and find the same bits as one process.
GaussianBaseline fit_gaussian(const Dataset& set, LoaderOptions options = {},
                              Communicator* ranks = nullptr);

/// Mean of -log2(density * delta) per dimension, delta = 1/255, over images with the moments `data`
/// and over the noise (its expectation, not a sample): experiments/measures/README.md, 3. Throws
/// usage if the sizes differ.
double bits_per_dim(const GaussianBaseline& baseline, const GaussianBaseline& data);

}  // namespace pal
