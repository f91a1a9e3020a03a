#pragma once
#include <optional>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"

namespace pal {

/// What attacks did to a run, of attacks/attacks.json in its folder (pal-attack -o RUN/attacks) or of
/// the folder that the run lies in: how far they must go, whether pictures of 8 bits keep them,
/// whether they are noticed, and accuracy over the size that is allowed. None without such a file.
/// Throws data, naming it, for one that pal-attack does not write.
std::optional<HtmlSection> attack_section(const RunRecord& run);

/// The same of several runs side by side, flows by beta first, with size and detection over beta
/// where there are three; none if fewer than two have such a file.
std::optional<HtmlSection> attack_comparison(const std::vector<RunRecord>& runs);

}  // namespace pal
