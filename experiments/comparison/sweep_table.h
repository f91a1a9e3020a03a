#pragma once
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"

// Runs beside each other: what they were, where and how fast they were trained, what came of them.
namespace pal {

/// Names of the foreign sets of all runs, in the order of their appearance.
std::vector<std::string> foreign_sets(const std::vector<RunRecord>& runs);

/// A line for each run, as CSV (RFC 4180): name, network, beta (empty for a network that only
/// classifies), seed, epochs, complete, train_seconds, train_images_per_s, device, processor,
/// threads, precision; then results of pal-evaluate, shares in [0, 1], empty where they are missing:
/// images, acc1, ce, entropy, loss_x, bits_per_dim, ece, mce, oce_0.997, ... and for each foreign set
/// of any run auc_SET_one-tailed, _typicality, _quantile, _familiarity.
std::string runs_csv(const std::vector<RunRecord>& runs);

/// The same runs as a JSON array of objects, with the whole of summary.json under "results". Beta is
/// "inf" for infinity, null for a network that only classifies.
std::string runs_json(const std::vector<RunRecord>& runs);

/// The most important of it for people.
std::string runs_text(const std::vector<RunRecord>& runs);

}  // namespace pal
