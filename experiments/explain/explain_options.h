#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/run_options.h"
#include "experiments/explain/faithfulness.h"
#include "experiments/explain/heatmap.h"

namespace pal {

/// What the subcommands of pal-explain share, and what single ones add.
struct ExplainOptions {
  std::string checkpoint;
  DataOptions data;
  std::string images_text;
  std::vector<std::string> images;    ///< test images, numbers or names; empty: `count` of them
  int64_t count = 10;                 ///< images, spread over the classes
  std::vector<std::string> classes;   ///< whose maps are drawn; empty: the likeliest of each image
  Share share = Share::contrast;      ///< heatmap
  std::string evidence_for;           ///< evidence: a class; empty: the predicted one
  std::string evidence_against;       ///< evidence: a class, or "label"; empty: the next likely one
  Fill fill = Fill::zero;             ///< check
  bool by_dendrogram = true;          ///< similarity
  int64_t pairs = 5;                  ///< similarity: pairs of classes that are named
  bool affine = false;                ///< decision: the hull of the means, not their span
  int64_t channels = 64;              ///< receptive-field: features; 0: all
  bool whole_network = false;         ///< plane: the network learns too
  double epochs = 1.0;                ///< plane
  double beta = -1.0;                 ///< plane: of the loss; below 0: as it was trained
  double learning_rate = -1.0;        ///< plane: of the network; below 0: as it was trained
  double learning_rate_means = -1.0;  ///< plane: of the class means; below 0: as they were
  int64_t batch_size = 0;             ///< plane; 0: as the model was trained
  std::string output;                 ///< PNG; the numbers stand beside it as CSV
  int64_t scale = 0;                  ///< pixels that each pixel becomes; 0: as suits the size
  RunOptions run;
};

/// Adds the options of a subcommand to a table that sets `options`.
void add_heatmap_options(OptionTable& table, ExplainOptions& options);
void add_evidence_options(OptionTable& table, ExplainOptions& options);
void add_check_options(OptionTable& table, ExplainOptions& options);
void add_similarity_options(OptionTable& table, ExplainOptions& options);
void add_decision_options(OptionTable& table, ExplainOptions& options);
void add_dct_options(OptionTable& table, ExplainOptions& options);
void add_receptive_field_options(OptionTable& table, ExplainOptions& options);
void add_plane_options(OptionTable& table, ExplainOptions& options);

/// What a subcommand writes beside its output, and whether it answers in JSON.
struct ExplainOutputs {
  std::string usual;                ///< the default output; its suffix is the one that is wanted
  std::vector<std::string> beside;  ///< suffixes of the files beside it
  bool answers_json = false;
};

/// After parsing by `table`: reads the texts and checks what concerns several options and the
/// outputs. Throws usage naming the flag, environment for an output whose folder is missing.
void finish_explain_options(const OptionTable& table, ExplainOptions& options,
                            const ExplainOutputs& outputs);

/// The test images that the options name, or `count` of them.
std::vector<int64_t> explained_indices(const ExplainOptions& options, const TestImages& from);

}  // namespace pal
