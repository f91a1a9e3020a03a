#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace pal {

/// A row of metrics.jsonl, or a mean of several.
struct CurvePoint {
  double epoch = 0.0;
  double loss = 0.0;
  double loss_x = 0.0;         ///< nats per dimension; 0 of a ResNet
  double cross_entropy = 0.0;  ///< of training batches with smoothed labels; of validations the CE
  double accuracy = 0.0;       ///< share
  double bits_per_dim = 0.0;   ///< 0 of a ResNet
  double learning_rate = 0.0;  ///< 0 of validations
};

/// What a run's folder says of the run, without its model.
struct RunRecord {
  std::string path;            ///< the folder, or a checkpoint that lies in none
  std::string name;            ///< its last part
  bool flow = true;            ///< has a density; else a network that only classifies
  std::optional<double> beta;  ///< of a flow's training loss, if it is recorded
  uint64_t seed = 0;
  double epochs = 0.0;        ///< that the run was to take
  std::string arch, dataset;  ///< as recorded; may be empty
  /// Where the run's last process computed, as run.json has it; may be empty.
  std::string device, processor, precision, version;
  int64_t threads = 0;                ///< of it; 0: not known
  std::vector<std::string> commands;  ///< that began it and went on with it, as recorded
  std::vector<CurvePoint> training;   ///< means of at most 200 equal parts
  std::vector<CurvePoint> validation;
  /// The file summary.json, an object; empty where there is none. What pal-evaluate --summary
  /// found stands there under the keys of its --json.
  std::shared_ptr<const nlohmann::json> summary;

  /// Whether the run has taken all its steps.
  bool complete() const;
  /// Whether summary.json holds an evaluation of a part that did not choose the checkpoint.
  bool evaluated() const;
  /// A number of summary.json by its path, such as "/noise_free/acc1"; none if it is no number.
  std::optional<double> number(const std::string& pointer) const;
};

/// Reads a run folder; a checkpoint file alone gives a record without curves. Throws data naming
/// the path for a folder that is missing or no run's, and for a broken checkpoint.
RunRecord read_run(const std::string& path);

}  // namespace pal
