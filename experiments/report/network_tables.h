#pragma once
#include <string>
#include <vector>

#include "experiments/planning/model_summary.h"

namespace pal {

/// The paper's Tables 1 and 5 of networks side by side, at most one of each family.
/// - Levels: size, channels, blocks, the maximal receptive field in pixels minus 1, as the paper
///   counts it (an image's own is nothing, behind the head it is all).
/// - Totals: parameters of the network, the head and both; multiply-adds of a forward pass of one
///   image, of dense channel mixing, and both.
class NetworkTables {
 public:
  /// Keeps a reference. `published`: with the paper's figures as further columns.
  NetworkTables(const std::vector<ModelSummary>& models, bool published)
      : models_(models), published_(published) {}

  std::string levels_text() const;
  std::string totals_text() const;
  /// Writes table1.csv (levels) and table5.csv (totals) into a folder, which is made if it is not
  /// there. Throws environment.
  void write(const std::string& folder) const;

 private:
  using Rows = std::vector<std::vector<std::string>>;
  enum class Form { text, csv };

  Rows levels(Form form) const;
  Rows totals(Form form) const;

  const std::vector<ModelSummary>& models_;
  bool published_;
};

}  // namespace pal
