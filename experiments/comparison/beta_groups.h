#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"

// Runs of a sweep over beta, put together by what they have in common.
namespace pal {

/// A number of one run and its standard error within the run, where that is known.
struct RunNumber {
  double value = 0.0;
  std::optional<double> error;
};

/// What is read of a run; none if the run does not have it.
using Measure = std::function<std::optional<RunNumber>(const RunRecord&)>;

/// Mean of a number over the runs of a group, which differ in their seeds.
struct GroupMean {
  double mean = 0.0;
  /// Its standard error: of several runs the deviation (n - 1) over the root of their number, of a
  /// single one its own, if that is known.
  std::optional<double> error;
  int64_t runs = 0;  ///< that have the number
};

/// Mean of readings; none of no readings.
std::optional<GroupMean> mean_of_readings(const std::vector<RunNumber>& readings);

/// Runs of one network and beta, one for each seed.
struct BetaGroup {
  bool flow = true;
  std::string arch;            ///< as recorded
  std::optional<double> beta;  ///< of flows
  /// By seed; as long as the records from which the group was made.
  std::vector<const RunRecord*> runs;

  /// "beta 0.25", or the network's name.
  std::string name() const;
  /// Mean over the runs that have a finite number; none if no run has one.
  std::optional<GroupMean> mean(const Measure& measure) const;
  /// The same of a number of summary.json by its path, such as "/acc1"; a single run has no error.
  std::optional<GroupMean> mean(const std::string& pointer) const;
};

/// Runs that can be compared: flows of one architecture, and a feed-forward net, on one set of
/// images for as many epochs.
struct Sweep {
  std::vector<BetaGroup> flows;  ///< by ascending beta
  std::optional<BetaGroup> feed_forward;
  std::vector<std::string> left_out;  ///< "NAME: why", of all other runs

  /// The flows, then the feed-forward net if there is one.
  std::vector<BetaGroup> all() const;
  /// The flows of these betas, both ends included.
  std::vector<BetaGroup> flows_from(double least, double most) const;
};

/// The largest sweep among records, by its number of betas and then of runs (the first of equal
/// ones). Runs that have not taken all their steps are left out, those whose evaluated images may
/// have chosen the checkpoint, and of two of one network, beta and seed the second. Widths and other
/// fields of networks are not compared: records do not hold them. The records must outlive it.
Sweep sweep_of(const std::vector<RunRecord>& runs);

}  // namespace pal
