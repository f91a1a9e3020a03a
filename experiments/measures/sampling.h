#pragma once
#include <cstdint>
#include <vector>

#include "data/pictures/image_file.h"
#include "data/sets/dataset.h"
#include "layers/models/ib_inn.h"
#include "layers/models/model_io.h"

// Images from latent vectors (experiments/measures/README.md, 8).
namespace pal {

/// Where the latent vectors of a class lie: a Gaussian with a diagonal covariance.
struct ClassSpread {
  Tensor mean;       ///< f32 [D]
  Tensor deviation;  ///< f32 [D]; undefined: 1 in every dimension
};

/// The model's own density of class y: its mean mu_y and deviation 1.
ClassSpread model_spread(const IbInn& model, int64_t y);

/// Mean and deviation of the latent vectors of images [n, h, w, c] of one class, n at least 2: a
/// density fitted after training (Ghosh et al. 2020, "From Variational to Deterministic
/// Autoencoders"). A model trained to classify has its class means where they part the classes
/// best, not in the middle of them.
ClassSpread measured_spread(IbInn& model, const Tensor& images);

/// z = mean + temperature deviation n with n standard normal, for samples first to first + count -
/// 1 of class y: f32 [count, D]. The n of sample i depend on the seed, y and i only.
Tensor class_latents(const ClassSpread& spread, int64_t y, int64_t first, int64_t count,
                     double temperature, uint64_t seed);

/// (1 - t) z_a + t z_b for `steps` values of t from 0 to 1; z [2, D] holds the two ends.
Tensor interpolate_latents(const Tensor& z, int64_t steps);

/// z + t (to - from) for each t of `steps`: latent vectors z [n, D] moved by the difference of two
/// class means [D] (as Kingma and Dhariwal 2018, "Glow", change faces), so that each keeps where it lies
/// about its class. f32 [n * steps, D], all steps of the first vector before those of the second.
Tensor morph_latents(const Tensor& z, const Tensor& from, const Tensor& to,
                     const std::vector<double>& steps);

/// Some images of a set as the network reads them, noise-free: f32 [n, h, w, c]. `transform` says
/// how encoded pictures are decoded.
Tensor network_images(const Dataset& set, const InputSpec& input,
                      const std::vector<int64_t>& indices, const TransformSpec& transform = {});

/// The latent vectors [n, D] of images in batches of at most 100, with running statistics.
Tensor encode(IbInn& model, const Tensor& images);

/// Images [n, h, w, c] of latent vectors [n, D]: the inverse network in batches of at most 100.
/// Throws numerics if a value is not finite.
Tensor decode(const IbInn& model, const Tensor& z);

/// Network images [n, h, w, c] as 8-bit images: x std + mean, clipped to [0, 1], rounded to the
/// nearest level.
std::vector<Image> to_pictures(const Tensor& images, const InputSpec& input);

/// How far reconstructed images are from their originals, in the network's units.
struct InversionError {
  double largest = 0.0;
  double mean = 0.0;
};
InversionError inversion_error(const Tensor& original, const Tensor& rebuilt);

/// Largest inversion error of a healthy float32 network.
inline constexpr double kInversionTolerance = 1e-3;

}  // namespace pal
