#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/attacks/attack_batch.h"
#include "experiments/attacks/projected_gradient.h"

namespace pal {

/// The attacks there are.
enum class AttackKind { cw, ddn, pgd, fgsm, square };
/// "cw", "ddn", ...
const char* name_of(AttackKind kind);
/// How far the attack of Carlini and Wagner goes.
enum class CwProtocol { converged, paper };
const char* name_of(CwProtocol protocol);

/// One attack with all its numbers: a row of results.
struct AttackSetting {
  AttackKind kind = AttackKind::cw;
  // Of cw and ddn: the least change that is enough.
  CwProtocol protocol = CwProtocol::converged;
  double kappa = 0.01;  ///< nats; infinite: as far as it pays
  double c = 10.0;
  double d = 0.0;  ///< weight of the detection term, of cw and of pgd with an adaptive loss
  // Of pgd, fgsm and square: within a ball.
  AttackNorm norm = AttackNorm::linf;
  double eps = 0.0;
  AttackLoss loss = AttackLoss::cross_entropy;
  int64_t restarts = 1;
  bool targeted = true;
  int64_t steps = 0;  ///< at most; 0: as the attack has it
  uint64_t seed = 0;

  /// Whether a ball bounds the change.
  bool bounded() const { return kind != AttackKind::cw && kind != AttackKind::ddn; }
  /// For file names and tables: "cw-converged-k1-d66", "pgd-linf-0.0314-ce".
  std::string name() const;
  /// In words, for headings: "kappa 1, d 66".
  std::string title() const;
  /// What the name leaves out, for the record of a cell.
  std::string details() const;
  /// Gradients that an image costs at most (square: images).
  int64_t most_steps() const;
  /// What it usually costs, for estimates of time: the paper's protocol stops early.
  int64_t usual_steps() const;
};

/// A number as names and tables have it: "0.01", "inf".
std::string setting_number(double value);

/// Runs it on a batch. `median`: of ln q(x) / D over images that are no attacks; streams as in
/// ProjectedGradient. Throws usage for a setting that the model cannot have.
AttackResult run_attack(AttackedModel& model, const AttackBatch& batch,
                        const AttackSetting& setting, double median,
                        const std::vector<uint64_t>& streams, const AttackObserver& observe = {});

}  // namespace pal
