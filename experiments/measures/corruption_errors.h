#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

// How much worse a classifier gets on corrupted images (experiments/measures/README.md, 18). All as
// shares; a corruption is known by its name, never by its place in a list.
namespace pal {

/// Top-1 error of one model on one corruption at one severity.
struct CorruptionCell {
  std::string corruption;
  int severity = 1;
  double error = 0.0;
};

/// The errors of a network that others are measured by.
struct ReferenceErrors {
  std::string name;
  double clean = 0.0;
  std::map<std::string, double> mean;  ///< by corruption: over its severities
};

/// AlexNet on ImageNet-C, published by Hendrycks and Dietterich (2019).
const ReferenceErrors& alexnet_errors();

/// Reads a reference: CSV lines `corruption,error` after a header of these words, one of them
/// `clean`. Throws data naming file and line.
ReferenceErrors read_reference_errors(const std::string& path);
/// The same file of errors.
std::string reference_csv(const ReferenceErrors& errors);

/// What one corruption does to one model.
struct CorruptionError {
  std::string corruption;
  double mean_error = 0.0;         ///< over the severities
  std::optional<double> ce;        ///< its sum of errors over the reference's
  std::optional<double> relative;  ///< the same of errors beyond those on clean images
};

/// Mean errors by corruption, in the order of the first cell of each. `clean`: the model's error on
/// clean images. Throws usage for two cells of one corruption and severity, or corruptions that
/// differ in their severities.
std::vector<CorruptionError> corruption_errors(const std::vector<CorruptionCell>& cells,
                                               double clean, const ReferenceErrors* reference);

/// Means over corruptions; none where there is nothing to average, or no reference knows one of
/// them.
struct CorruptionMeans {
  double error = 0.0;  ///< 1 - this: mean accuracy
  std::optional<double> mce, relative_mce;
};
CorruptionMeans means_of(const std::vector<CorruptionError>& errors);

}  // namespace pal
