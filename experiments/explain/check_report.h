#pragma once
#include <string>

#include "experiments/explain/faithfulness.h"

namespace pal {

/// The tables of a check, for people.
std::string to_text(const Faithfulness& found);
/// The same as one JSON object.
std::string to_json(const Faithfulness& found);
/// The curves: order, insertion, cells, mean log-odds.
std::string to_csv(const Faithfulness& found);
/// The curves as a picture (SVG).
std::string to_svg(const Faithfulness& found, Fill fill);

}  // namespace pal
