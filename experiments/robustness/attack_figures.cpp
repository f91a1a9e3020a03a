#include "experiments/robustness/attack_figures.h"

namespace pal {

void write_attack_figures(const AttackOptions&, const AttackStudy&, const AttackReport&) {}

}  // namespace pal
