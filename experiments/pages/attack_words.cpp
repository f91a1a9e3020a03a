#include "experiments/pages/attack_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace pal {
namespace {

/// The row of a kind with the least place by protocol and kappa.
const AttackRow* leading(const AttackRecord& record, AttackKind kind) {
  const AttackRow* found = nullptr;
  const auto place = [](const AttackRow& row) {
    return std::tuple(row.setting.protocol != CwProtocol::converged, row.setting.kappa);
  };
  for (const AttackRow& row : record.model.rows) {
    if (row.setting.kind != kind || !row.setting.targeted || row.setting.d != 0.0) continue;
    if (found == nullptr || place(row) < place(*found)) found = &row;
  }
  return found;
}

/// Three digits that count, as far as a page needs them.
std::string with_error_text(double value, double error) {
  if (!std::isfinite(value)) return "-";
  const int digits = value < 0.1 ? 3 : value < 10.0 ? 2 : 1;
  return fmt::format("{:.{}f} \u00b1 {:.{}f}", value, digits, error, digits);
}

}  // namespace

const AttackRow* leading_cw(const AttackRecord& record) { return leading(record, AttackKind::cw); }
const AttackRow* leading_ddn(const AttackRecord& record) {
  return leading(record, AttackKind::ddn);
}

const AttackRow* hidden_cw(const AttackRecord& record) {
  const AttackRow* const lead = leading_cw(record);
  const AttackRow* found = nullptr;
  if (lead == nullptr) return nullptr;
  for (const AttackRow& row : record.model.rows)
    if (row.setting.kind == AttackKind::cw && row.setting.targeted &&
        row.setting.protocol == lead->setting.protocol &&
        row.setting.kappa == lead->setting.kappa &&
        row.setting.d > (found == nullptr ? 0.0 : found->setting.d))
      found = &row;
  return found;
}

std::string attack_words(const AttackSetting& setting) {
  std::string words = name_of(setting.kind);
  if (setting.kind == AttackKind::cw) words += fmt::format(", {}", name_of(setting.protocol));
  if (setting.bounded())
    words += fmt::format(" within {} {}", name_of(setting.norm), setting_number(setting.eps));
  if (setting.kind == AttackKind::pgd || setting.kind == AttackKind::fgsm)
    words += fmt::format(", loss {}", name_of(setting.loss));
  if (!setting.targeted) words += ", any wrong class";
  return words;
}

std::string levels_text(const AttackRow& row) {
  if (!(row.l2.value > 0.0)) return "-";
  // Both norms are of the same values, so that one is a multiple of the other.
  const double factor = kGreyLevels * row.rms.value / row.l2.value;
  return with_error_text(factor * row.l2_reached.value, factor * row.l2_reached.error);
}

std::string l2_text(const AttackRow& row) {
  const double value = row.l2_reached.value;
  return std::isfinite(value) ? fmt::format("{:.3f}", value) : std::string("-");
}

std::string share_text(const std::optional<double>& share, int64_t n) {
  if (!share) return "-";
  const double error =
      std::sqrt(*share * (1.0 - *share) / static_cast<double>(std::max<int64_t>(1, n)));
  return fmt::format("{:.1f} \u00b1 {:.1f}", 100.0 * *share, 100.0 * error);
}

std::string auc_words(const std::optional<Estimate>& auc) {
  if (!auc) return "-";
  return fmt::format("{:.1f} \u00b1 {:.1f}", 100.0 * auc->value, 100.0 * auc->error);
}

}  // namespace pal
