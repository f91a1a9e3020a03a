#pragma once
#include <string>

#include "experiments/classify/classifier.h"

namespace pal {

/// An answer as one JSON object, in one line: `id` if the request had one, `file`, and `error`; or
/// `top` (class, probability), `entropy` (nats), `bits_per_dim`, `set` (level, classes),
/// `familiarity` (p, density, complexity, entropy), `attack_p`, `attack_flagged` (true or false) and
/// `verdict`. What cannot be said is null, and so is the file of a picture that came itself.
std::string to_json(const Answer& answer, const Classifier& classifier,
                    const ClassifyOptions& options);

/// The same for people: a line of classes, one of what stands behind it, and a sentence.
std::string to_text(const Answer& answer, const Classifier& classifier,
                    const ClassifyOptions& options);

}  // namespace pal
