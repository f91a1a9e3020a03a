#pragma once
#include <string>
#include <vector>

#include "experiments/measures/ood_score.h"
#include "experiments/robustness/model_cell.h"
#include "experiments/robustness/robustness_options.h"
#include "runtime/device.h"

namespace pal {

/// All that is known of one model after a study.
struct ModelStudy {
  std::string checkpoint;  ///< path
  std::string label;       ///< short, different from the other models'
  bool has_density = false;
  bool names_classes = true;  ///< false of a flow that was trained at beta 0
  std::string dataset;        ///< of the clean images
  int64_t classes = 0;
  int64_t answers = 0;  ///< classes that answers are chosen among
  int64_t image_size = 0;
  ModelCell clean;
  std::vector<double> reference;  ///< densities of training images; empty without a density
  std::vector<ModelCell> cells;   ///< corruptions in their order, severities rising
};

/// Short names of checkpoints: run folders or files where these differ, else whole paths.
std::vector<std::string> checkpoint_labels(const std::vector<std::string>& checkpoints);

/// Evaluates every model on the clean images and under each corruption and severity. Models that
/// read images alike share one reading of them; what lies in the folder of results already is not
/// computed again. Throws usage or data for models, images and folders that do not fit
/// each other, before anything is computed; for pictures of a tree that differ from those of its
/// other folders, or in size, when it comes to them.
std::vector<ModelStudy> study_robustness(const RobustnessOptions& options, Device device);

}  // namespace pal
