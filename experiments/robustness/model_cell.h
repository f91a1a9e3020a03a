#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/measures/evaluation.h"

namespace pal {

/// What one model says of the images of one corruption and severity, noise-free; of the clean
/// images; or of training images, as the reference of their densities.
struct ModelCell {
  std::string corruption;  ///< "clean" and "reference" for those
  int severity = 0;        ///< 0 where there is none
  bool has_density = false;
  /// One of each for an image, in the order of the images; a reference has densities alone.
  std::vector<double> log_density;  ///< ln q(x) / D; empty without a density
  std::vector<double> confidence, cross_entropy, entropy;
  std::vector<int32_t> wrong;  ///< 1 where the first answer is not the label

  /// Images.
  int64_t count() const { return static_cast<int64_t>(wrong.size()); }
  double error() const;    ///< top-1, a share
  double mean_ce() const;  ///< nats
  double mean_entropy() const;
  /// Top-label calibration error, 15 equal bins.
  double ece() const;
};

/// "clean", "reference", or "fog-3".
std::string cell_name(const std::string& corruption, int severity);

/// The cell of an evaluation.
ModelCell cell_of(const std::string& corruption, int severity, const EvaluationResult& result);

/// Cells of models in a folder, a file for each, so that work that was stopped goes on: a cell is
/// there as a whole or not at all.
class CellFiles {
 public:
  /// `folder` is made; empty: nothing is kept. `made_of` is what the numbers depend on beyond model
  /// and cell, and must be the same whenever the folder is used. Of `ranks`, which exchange tensors
  /// on the CPU and may be null, the first reads and writes for all.
  CellFiles(std::string folder, std::map<std::string, std::string> made_of,
            Communicator* ranks = nullptr);

  /// The cell of a model (its digest), if it is there. `pictures`: a fingerprint of files that it is
  /// made of; empty: none. Throws usage for one that was made of other things, data for a broken
  /// file.
  std::optional<ModelCell> find(const std::string& model, const std::string& corruption,
                                int severity, const std::string& pictures = {}) const;
  void save(const std::string& model, const ModelCell& cell,
            const std::string& pictures = {}) const;

 private:
  std::string path_of(const std::string& model, const std::string& cell) const;
  std::optional<ModelCell> read(const std::string& model, const std::string& corruption,
                                int severity, const std::string& pictures) const;
  void write(const std::string& model, const ModelCell& cell, const std::string& pictures) const;
  /// What stands in the file of a cell.
  std::map<std::string, std::string> metadata_of(const std::string& cell,
                                                 const std::string& pictures) const;

  std::string folder_;
  std::map<std::string, std::string> made_of_;
  Communicator* ranks_;
};

}  // namespace pal
