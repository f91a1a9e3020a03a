#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/run_options.h"

namespace pal {

/// What pal-sample makes.
enum class SampleKind : uint8_t { samples, reconstructions, interpolation, morph };

/// Around what samples are drawn, or between which means of classes images are moved: the model's class means with deviation 1, or mean and deviation
/// of the latent vectors of training images; automatic: of images where they are to be had.
enum class SampleCentre : uint8_t { automatic, means, images };

/// Pictures that one call may make.
inline constexpr int64_t kMostSamples = 100000;

/// Everything pal-sample can be told. Text fields are parsed by finish_sample_options.
struct SampleOptions {
  std::string checkpoint;
  std::string output = "samples.png";
  std::vector<std::string> classes;  ///< numbers or names; empty: all
  int64_t count = 0;                 ///< samples per class; pictures in a row; images to move
  std::vector<double> temperatures;  ///< one block of samples for each
  SampleCentre around = SampleCentre::automatic;
  int64_t real = 0;         ///< test images of each class, beside its samples
  std::string judge;        ///< a model that says what the samples show; empty: none
  int64_t judged = 1000;    ///< samples that it is shown, of all classes together
  int64_t reconstruct = 0;  ///< test images to rebuild; 0: none, or those of `images`
  std::string images_text;
  std::vector<std::string> images;       ///< test images to rebuild or move, numbers or names
  std::vector<std::string> interpolate;  ///< two test images, numbers or names; or empty
  std::vector<std::string> morph;        ///< two classes, numbers or names; or empty
  int64_t steps = 0;                     ///< pictures from t = 0 to `reach`
  double reach = 0.0;                    ///< the last t
  int64_t scale = 0;  ///< pixels that each pixel becomes, in both directions; 0: as suits the size
  bool labels = true;
  SampleKind kind = SampleKind::samples;
  DataOptions data;
  RunOptions run;
};

/// Adds all options to a table that sets `options`.
void add_sample_options(OptionTable& table, SampleOptions& options);

/// After parsing: reads the texts, fills in what was not given (a count of 0, no temperature, 0
/// steps, a reach of 0), checks what concerns several options, and that the output can be
/// written. Throws usage naming the flag, or environment for an output whose folder is missing.
void finish_sample_options(SampleOptions& options);

}  // namespace pal
