#pragma once
#include "experiments/attack_study/attack_report.h"

namespace pal {

/// Writes the pictures of a study into its folder: sheets of attacked images, size and detection
/// over beta, robust accuracy. Throws environment.
void write_attack_figures(const AttackOptions& options, const AttackStudy& study,
                          const AttackReport& report);

}  // namespace pal
