#include "experiments/classify/answer_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "runtime/json.h"
#include "runtime/text.h"

namespace pal {
namespace {

using Json = nlohmann::ordered_json;

std::vector<int32_t> likeliest(const std::vector<double>& posterior, int64_t most) {
  std::vector<int32_t> order(posterior.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    return posterior[static_cast<size_t>(a)] > posterior[static_cast<size_t>(b)];
  });
  order.resize(std::min(order.size(), static_cast<size_t>(most)));
  return order;
}

std::vector<std::string> names_of(const std::vector<int32_t>& classes,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const int32_t y : classes) found.push_back(names[static_cast<size_t>(y)]);
  return found;
}

/// "a", "a or b", "a, b or c".
std::string alternatives(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  if (names.size() > kMost) return fmt::format("one of {} classes", names.size());
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

/// What looks unusual about a picture: the test with the least p-value.
std::string reason_of(const Familiarity& f) {
  if (f.density <= f.complexity && f.density <= f.entropy)
    return "its density is none that familiar pictures have";
  if (f.complexity <= f.entropy)
    return "it is harder to describe than so simple a picture should be";
  return "it fits the classes worse than familiar pictures do";
}

std::string verdict_sentence(const Answer& answer, const Classifier& classifier) {
  const auto& names = classifier.class_names();
  const std::string& best = names[static_cast<size_t>(answer.predicted())];
  const auto possible = [&] { return alternatives(names_of(*answer.classes, names)); };
  switch (classifier.verdict(answer)) {
    case Verdict::unknown:
      return fmt::format("Most likely {}; without a calibration nothing is promised.", best);
    case Verdict::sure:
      return fmt::format(
          "Sure: {}{}.", best,
          answer.familiarity && !classifier.attack_flagged(answer) ? ", a familiar picture" : "");
    case Verdict::torn:
      return answer.classes->empty()
                 ? fmt::format("Torn: no class is likely enough, {} the most.", best)
                 : fmt::format("Torn: {}.", possible());
    case Verdict::unfamiliar:
      return fmt::format("Unfamiliar: {}. If it is of any class, then {}.",
                         reason_of(*answer.familiarity), best);
    case Verdict::unfamiliar_torn:
      break;
  }
  return fmt::format("Unfamiliar and torn: {}; {}.", reason_of(*answer.familiarity),
                     answer.classes->empty() ? "no class is likely" : "it may be " + possible());
}

std::string sentence(const Answer& answer, const Classifier& classifier) {
  std::string text = verdict_sentence(answer, classifier);
  if (classifier.attack_flagged(answer))
    text += fmt::format(
        " Its density is unusual (attack_p {:.2g}), as an attacked or otherwise changed picture's "
        "may be.",
        *answer.attack_p());
  return text;
}

}  // namespace

std::string to_json(const Answer& answer, const Classifier& classifier,
                    const ClassifyOptions& options) {
  Json json = Json::object();
  if (!answer.id.empty()) json["id"] = parse_ordered_json(answer.id);
  json["file"] = answer.file ? Json(*answer.file) : Json();
  if (!answer.error.empty()) {
    json["error"] = answer.error;
    return json_text(json, -1, BadUtf8::replaced);
  }
  const auto& names = classifier.class_names();
  for (const int32_t y : likeliest(answer.posterior, options.top))
    json["top"].push_back({{"class", names[static_cast<size_t>(y)]},
                           {"probability", answer.posterior[static_cast<size_t>(y)]}});
  json["entropy"] = answer.entropy;
  json["bits_per_dim"] = answer.bits_per_dim ? Json(*answer.bits_per_dim) : Json();
  json["set"] = answer.classes
                    ? Json{{"level", options.level}, {"classes", names_of(*answer.classes, names)}}
                    : Json();
  json["familiarity"] = answer.familiarity ? Json{{"p", answer.familiarity->p},
                                                  {"density", answer.familiarity->density},
                                                  {"complexity", answer.familiarity->complexity},
                                                  {"entropy", answer.familiarity->entropy}}
                                           : Json();
  const std::optional<double> attack_p = answer.attack_p();
  json["attack_p"] = attack_p ? Json(*attack_p) : Json();
  json["attack_flagged"] = attack_p ? Json(classifier.attack_flagged(answer)) : Json();
  const Verdict verdict = classifier.verdict(answer);
  json["verdict"] = verdict == Verdict::unknown ? Json() : Json(name_of(verdict));
  return json_text(json, -1, BadUtf8::replaced);
}

std::string to_text(const Answer& answer, const Classifier& classifier,
                    const ClassifyOptions& options) {
  const auto& names = classifier.class_names();
  std::vector<std::string> top;
  for (const int32_t y : likeliest(answer.posterior, options.top))
    top.push_back(fmt::format("{} {:.1f} %", one_line(names[static_cast<size_t>(y)]),
                              100.0 * answer.posterior[static_cast<size_t>(y)]));
  std::string text = fmt::format("{}: {}", answer.name(), fmt::join(top, ", "));
  if (answer.classes)
    text += fmt::format("\n  {:.0f} % set: {}", 100.0 * options.level,
                        answer.classes->empty()
                            ? "empty"
                            : fmt::format("{}", fmt::join(names_of(*answer.classes, names), ", ")));
  if (answer.familiarity) {
    const Familiarity& f = *answer.familiarity;
    text += fmt::format(
        "; familiarity p {:.2g} (density {:.2g} = attack_p, complexity {:.2g}, entropy {:.2g})",
        f.p, f.density, f.complexity, f.entropy);
  }
  if (answer.bits_per_dim) text += fmt::format("; {:.2f} bits/dim", *answer.bits_per_dim);
  return text + "\n  " + sentence(answer, classifier);
}

}  // namespace pal
