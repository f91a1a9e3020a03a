#include "experiments/command_line/corruption_choice.h"

#include <algorithm>
#include <set>

#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr const char* kCounted = "counted";
constexpr const char* kAll = "all";

/// A word means a corruption by its name or its group, or several.
bool is_meant(Corruption corruption, const std::string& word) {
  return word == kAll || word == name_of(corruption) || word == published_name(corruption) ||
         word == group_of(corruption) || (word == kCounted && !is_extra(corruption));
}

std::vector<std::string> known_words() {
  std::vector<std::string> words = {kCounted, kAll};
  for (const Corruption corruption : all_corruptions(true))
    for (const char* word : {name_of(corruption), published_name(corruption), group_of(corruption)})
      if (std::ranges::find(words, word) == words.end()) words.emplace_back(word);
  return words;
}

}  // namespace

void add_corruption_choice(OptionTable& table, CorruptionChoice& choice) {
  table
      .text("corruptions", choice.names,
            "Names or groups (noise, blur, weather, digital, extra), with commas between; counted: "
            "the 15 that means are taken over; all: with the extra ones")
      .unit("NAME[,...]");
  table.numbers("severities", choice.severities, 0, "Which of 1 (mild) to 5, with commas between")
      .unit("S[,...]");
}

std::vector<Corruption> corruptions_of(const std::string& words) {
  std::set<Corruption> meant;
  for (size_t begin = 0; begin <= words.size();) {
    const size_t end = std::min(words.find(',', begin), words.size());
    const std::string word(trimmed(std::string_view(words).substr(begin, end - begin)));
    const size_t before = meant.size();
    bool known = false;
    for (const Corruption corruption : all_corruptions(true))
      if (is_meant(corruption, word)) {
        known = true;
        meant.insert(corruption);
      }
    if (!known) {
      const std::string nearest = nearest_name(word, known_words());
      fail(ErrorKind::usage, "--corruptions: unknown corruption '{}'; {}", one_line(word),
           nearest.empty() ? "see --help" : "did you mean " + nearest + "?");
    }
    expect(meant.size() > before, "--corruptions: {} adds nothing to those before it", word);
    begin = end + 1;
  }
  return {meant.begin(), meant.end()};
}

std::vector<int> severities_of(const CorruptionChoice& choice) {
  expect(!choice.severities.empty(), "--severities: none is given");
  std::vector<int> checked;
  for (const int64_t severity : choice.severities) {
    expect(severity >= 1 && severity <= kSeverities, "--severities: expected 1 to {}, got {}",
           kSeverities, severity);
    const auto value = static_cast<int>(severity);
    expect(std::ranges::find(checked, value) == checked.end(), "--severities: {} is named twice",
           severity);
    checked.push_back(value);
  }
  std::ranges::sort(checked);
  return checked;
}

}  // namespace pal
