#pragma once
#include <optional>
#include <string>

#include "experiments/comparison/attack_record.h"

// Attacks and their numbers as pages word them.
namespace pal {

/// A value of 1 (white) in levels of 8 bits.
inline constexpr double kGreyLevels = 255.0;

/// The attack that pages begin with: of those with a target and without a detection term the one of
/// Carlini and Wagner with the least kappa, converged if there is one; null without any.
const AttackRow* leading_cw(const AttackRecord& record);
/// The same of ddn.
const AttackRow* leading_ddn(const AttackRecord& record);
/// As leading_cw, with the largest weight of going unnoticed; null without one.
const AttackRow* hidden_cw(const AttackRecord& record);

/// "cw, paper", "pgd within Linf 0.02, loss ce".
std::string attack_words(const AttackSetting& setting);

/// The change of a typical value in grey levels of 255: the root of the mean square over the
/// values, a mean over images that reach their goal, with its error; "-" where none does.
std::string levels_text(const AttackRow& row);
/// The L2 norm over the same images, whose error has the same share of it.
std::string l2_text(const AttackRow& row);

/// A share of n images in percent, with the error that counting has; "-" for none.
std::string share_text(const std::optional<double>& share, int64_t n);
/// An AUC in percent with its error.
std::string auc_words(const std::optional<Estimate>& auc);

}  // namespace pal
