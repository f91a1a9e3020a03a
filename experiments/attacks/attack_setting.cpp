#include "experiments/attacks/attack_setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/attacks/carlini_wagner.h"
#include "experiments/attacks/ddn.h"
#include "experiments/attacks/square.h"

namespace pal {
namespace {

CarliniWagner carlini_wagner_of(const AttackSetting& setting, double median) {
  CarliniWagner how =
      setting.protocol == CwProtocol::paper ? CarliniWagner::paper() : CarliniWagner::converged();
  how.c = setting.c;
  how.kappa = setting.kappa;
  how.d = setting.d;
  how.median = median;
  if (setting.steps > 0) how.steps = setting.steps;
  return how;
}

DecoupledNorm decoupled_norm_of(const AttackSetting& setting) {
  DecoupledNorm how;
  how.kappa = setting.kappa;
  if (setting.steps > 0) how.steps = setting.steps;
  return how;
}

ProjectedGradient projected_gradient_of(const AttackSetting& setting, double median) {
  ProjectedGradient how;
  how.norm = setting.norm;
  how.eps = setting.eps;
  how.objective = {setting.loss, 1.0, 0.0, setting.d, median};
  how.restarts = setting.restarts;
  how.seed = setting.seed;
  // One that is to go unnoticed goes on below the margin.
  how.stop_when_reached = setting.d == 0.0;
  if (setting.steps > 0) how.steps = setting.steps;
  return how;
}

RandomSquares random_squares_of(const AttackSetting& setting) {
  RandomSquares how;
  how.eps = setting.eps;
  how.seed = setting.seed;
  if (setting.steps > 0) how.queries = setting.steps;
  return how;
}

}  // namespace

const char* name_of(AttackKind kind) {
  static constexpr const char* kNames[] = {"cw", "ddn", "pgd", "fgsm", "square"};
  return kNames[static_cast<int>(kind)];
}

const char* name_of(CwProtocol protocol) {
  return protocol == CwProtocol::paper ? "paper" : "converged";
}

std::string setting_number(double value) {
  return std::isinf(value) ? "inf" : fmt::format("{:.4g}", value);
}

std::string AttackSetting::name() const {
  std::string name = name_of(kind);
  if (kind == AttackKind::cw) name += fmt::format("-{}", name_of(protocol));
  if (bounded())
    name += fmt::format("-{}-{}", norm == AttackNorm::linf ? "linf" : "l2", setting_number(eps));
  else
    name += fmt::format("-k{}", setting_number(kappa));
  if (kind == AttackKind::pgd || kind == AttackKind::fgsm)
    name += fmt::format("-{}", name_of(loss));
  if (kind == AttackKind::cw || d != 0.0) name += fmt::format("-d{}", setting_number(d));
  // What is usual of either kind is left out.
  if (bounded() && targeted) name += "-targeted";
  if (!bounded() && !targeted) name += "-untargeted";
  return name;
}

std::string AttackSetting::title() const {
  std::string text = bounded() ? fmt::format("{} {}", name_of(norm), setting_number(eps))
                               : fmt::format("kappa {}", setting_number(kappa));
  if (kind == AttackKind::cw || d != 0.0) text += fmt::format(", d {}", setting_number(d));
  return text;
}

std::string AttackSetting::details() const {
  // Numbers in full: a name has four digits of them.
  std::string text = fmt::format("steps {}, seed {}", most_steps(), seed);
  text += bounded() ? fmt::format(", eps {}", eps) : fmt::format(", kappa {}", kappa);
  if (d != 0.0) text += fmt::format(", d {}", d);
  if (kind == AttackKind::cw) text += fmt::format(", c {}", c);
  if (kind == AttackKind::cw && protocol == CwProtocol::paper)
    text += fmt::format(", drawn in by {}", CarliniWagner::paper().drawn_in);
  if (kind == AttackKind::pgd) text += fmt::format(", restarts {}", restarts);
  return text;
}

int64_t AttackSetting::most_steps() const {
  switch (kind) {
    case AttackKind::cw:
      return carlini_wagner_of(*this, 0.0).steps;
    case AttackKind::ddn:
      return decoupled_norm_of(*this).steps;
    case AttackKind::pgd:
      return std::max<int64_t>(1, restarts) * (projected_gradient_of(*this, 0.0).steps + 1);
    case AttackKind::fgsm:
      return 1;
    case AttackKind::square:
      break;
  }
  return random_squares_of(*this).queries;
}

int64_t AttackSetting::usual_steps() const {
  constexpr int64_t kUsualOfPaper = 100;
  const bool stops = kind == AttackKind::cw && protocol == CwProtocol::paper;
  return stops ? std::min(most_steps(), kUsualOfPaper) : most_steps();
}

AttackResult run_attack(AttackedModel& model, const AttackBatch& batch,
                        const AttackSetting& setting, double median,
                        const std::vector<uint64_t>& streams, const AttackObserver& observe) {
  switch (setting.kind) {
    case AttackKind::cw:
      return attack_carlini_wagner(model, batch, carlini_wagner_of(setting, median), observe);
    case AttackKind::ddn:
      return attack_ddn(model, batch, decoupled_norm_of(setting), observe);
    case AttackKind::square: {
      RandomSquares how = random_squares_of(setting);
      how.streams = streams;
      return attack_square(model, batch, how);
    }
    case AttackKind::pgd:
    case AttackKind::fgsm:
      break;
  }
  ProjectedGradient how = projected_gradient_of(setting, median);
  how.streams = streams;
  return setting.kind == AttackKind::pgd ? attack_projected_gradient(model, batch, how)
                                         : attack_fast_gradient(model, batch, how);
}

}  // namespace pal
