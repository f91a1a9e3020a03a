#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"
#include "experiments/command_line/option_table.h"

namespace pal {

/// Which corruptions and severities, as programs are told.
struct CorruptionChoice {
  std::string names = "counted";
  std::vector<int64_t> severities = {1, 2, 3, 4, 5};
};

/// Adds --corruptions and --severities.
void add_corruption_choice(OptionTable& table, CorruptionChoice& choice);

/// The corruptions that words name, commas between them: names, groups, `counted` (the 15) or `all`;
/// each once, in the published order. Throws usage with the nearest word for one that is unknown.
std::vector<Corruption> corruptions_of(const std::string& words);

/// The severities of a choice, rising. Throws usage for none, or one twice or outside 1 to 5.
std::vector<int> severities_of(const CorruptionChoice& choice);

}  // namespace pal
