#pragma once
#include "experiments/measures/scored_images.h"

// One number that makes confidences honest (Guo, Pleiss, Sun, Weinberger 2017, section 4.2).
namespace pal {

/// Mean over the images of -ln softmax(l / T) at the label, nats. Throws usage for no images.
double mean_nll(const ScoredImages& images, double temperature);

/// The temperature of the least mean_nll. It is a convex function of 1/T, so Newton's method within
/// a bracket finds it; between 1/1000 and 1000. Throws usage for no images.
double fit_temperature(const ScoredImages& images);

}  // namespace pal
