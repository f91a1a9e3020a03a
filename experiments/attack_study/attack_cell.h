#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/measures/rank_rounds.h"
#include "experiments/trust/array_metadata.h"
#include "runtime/tensor.h"

namespace pal {

/// What an attack did to images of one model, and what the model says of them
/// (experiments/measures/README.md, 19). Lists have one entry for each image.
struct AttackCell {
  std::vector<double> index;                           ///< in the data set
  std::vector<double> label;                           ///< the model's class
  std::vector<double> target;                          ///< -1: any but the label
  std::vector<double> clean_answer, answer;            ///< likeliest class, before and after
  std::vector<double> margin_start, margin;            ///< nats of class scores; below 0: reached
  std::vector<double> confidence;                      ///< largest q(y|x)
  std::vector<double> clean_entropy, entropy;          ///< predictive, nats
  std::vector<double> clean_density, density;          ///< ln q(x) / D; 0 without a density
  std::vector<double> clean_familiarity, familiarity;  ///< p of the calibration; 1 without one
  std::vector<double> l2, linf;                        ///< of the change, values in [0, 1]
  std::vector<double> rms;                             ///< per value
  std::vector<double> corruption;  ///< mean over pixels of the L2 norm of the colours' change
  std::vector<double> contrast;    ///< std(x_adv) / std(x) over all values
  std::vector<double> answer_8bit, density_8bit, familiarity_8bit;  ///< of the picture's levels
  std::vector<double> noise_reached;  ///< 1: random noise of the same size reaches the goal too
  std::vector<double> steps, objective_start, objective, gradient_start;
  std::vector<double> fell, ended_above, broken;  ///< 1: as AttackedImage has it

  /// f32 [n, h, w, c] in [0, 1], on the CPU; after keep_images the first of them, undefined for none.
  Tensor images;

  int64_t count() const { return static_cast<int64_t>(index.size()); }
  /// Whether the goal is reached: of the floating-point image, and of its picture.
  bool reached(int64_t i) const;
  bool reached_8bit(int64_t i) const;
  /// Those of several batches, one behind the other; each has its images.
  static AttackCell joined(const std::vector<AttackCell>& parts);
  /// Leaves only the first `most` of the images in memory.
  void keep_images(int64_t most);

  /// For other ranks; it has its images.
  void add_to(Message& message) const;
  static AttackCell from(Message& message);

  /// Its columns by name, in the order of files.
  static const std::vector<std::pair<const char*, std::vector<double> AttackCell::*>>& columns();
};

/// Batches of cells in a folder, a file for each, from which work that was stopped goes on.
class AttackFiles {
 public:
  /// `folder` is made when something is saved; empty: nothing is kept. `made_of` is what numbers
  /// depend on beside model, setting and batch. Of `ranks`, which exchange tensors on the CPU and
  /// may be null, the first reads and writes for all.
  AttackFiles(std::string folder, std::map<std::string, std::string> made_of,
              Communicator* ranks = nullptr);

  /// A batch of a model (its digest) under a setting. Throws usage for one that was made of other
  /// things, data for a broken file.
  std::optional<AttackCell> find(const std::string& model, const std::string& setting,
                                 const std::string& details, int64_t batch) const;
  void save(const std::string& model, const std::string& setting, const std::string& details,
            int64_t batch, const AttackCell& cell) const;

 private:
  std::string path_of(const std::string& model, const std::string& setting, int64_t batch) const;
  std::optional<AttackCell> read(const std::string& model, const std::string& setting,
                                 const std::string& details, int64_t batch) const;
  std::map<std::string, std::string> metadata_of(const std::string& setting,
                                                 const std::string& details, int64_t batch) const;

  std::string folder_;
  std::map<std::string, std::string> made_of_;
  Communicator* ranks_;
};

/// `images` and the columns, as a file describes them.
std::vector<ArrayField> attack_fields();

/// Writes a cell as PATH.safetensors, `images` and its columns, and PATH.csv, a line for each image.
void write_attack_cell(const std::string& path, const AttackCell& cell,
                       const std::map<std::string, std::string>& metadata);

}  // namespace pal
