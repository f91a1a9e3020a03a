#include "experiments/measures/class_match.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <optional>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

using Names = std::vector<std::string>;

/// "3 classes (cat, dog, hen)", at most five by name.
std::string described(const Names& names) {
  constexpr size_t kMost = 5;
  Names shown;
  for (size_t y = 0; y < std::min(kMost, names.size()); ++y) shown.push_back(one_line(names[y]));
  return fmt::format("{} classes ({}{})", names.size(), fmt::join(shown, ", "),
                     names.size() > kMost ? ", ..." : "");
}

/// The model's class for each of the set's, by name; in `trouble`, what is wrong with the first
/// name that does not stand for one class.
std::vector<int32_t> classes_by_name(const Names& model, const Names& set,
                                     std::optional<std::string>& trouble) {
  std::multimap<std::string, int32_t> classes;
  for (size_t y = 0; y < model.size(); ++y) classes.emplace(model[y], static_cast<int32_t>(y));
  std::vector<int32_t> found;
  for (const std::string& name : set) {
    const size_t count = classes.count(name);
    if (count != 1) {
      trouble = fmt::format("'{}' {}", one_line(name),
                            count == 0 ? "is none of its classes" : "is more than one of them");
      return {};
    }
    found.push_back(classes.find(name)->second);
  }
  return found;
}

/// The classes that names stand for if all are different numbers of classes in another order than
/// theirs, as folders called 0 to 999 have it, which are listed by their text; none otherwise.
std::optional<std::vector<int32_t>> numbered_classes(const Names& set, int64_t classes) {
  if (are_numbers(set)) return std::nullopt;
  std::vector<int32_t> found;
  std::vector<bool> taken(static_cast<size_t>(classes));
  for (const std::string& name : set) {
    int32_t y = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), y);
    if (error != std::errc() || end != name.data() + name.size() || y < 0 || y >= classes ||
        taken[static_cast<size_t>(y)])
      return std::nullopt;
    taken[static_cast<size_t>(y)] = true;
    found.push_back(y);
  }
  return found;
}

}  // namespace

std::vector<std::string> model_class_names(const InputSpec& input, int64_t classes) {
  if (static_cast<int64_t>(input.class_names.size()) == classes) return input.class_names;
  Names names;
  for (int64_t y = 0; y < classes; ++y) names.push_back(std::to_string(y));
  return names;
}

int64_t named_class(const LoadedModel& loaded, const std::string& text, const std::string& option) {
  const int64_t classes = loaded.model->config().classes;
  const Names& names = loaded.input.class_names;
  const auto named = std::ranges::find(names, text);
  if (named != names.end()) return named - names.begin();
  int64_t y = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), y);
  if (error == std::errc() && end == text.data() + text.size()) {
    expect(y >= 0 && y < classes, "{}: the model has classes 0 to {}, got {}", option, classes - 1,
           y);
    return y;
  }
  const std::string nearest = nearest_name(text, names);
  constexpr size_t kShown = 20;
  const Names some(names.begin(),
                   names.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, names.size())));
  fail(ErrorKind::usage, "{}: no class is called '{}'; {} (give {} again for another)", option,
       text,
       nearest.empty() ? fmt::format("there are {}{}", fmt::join(some, ", "),
                                     names.size() > kShown ? ", ..." : "")
                       : fmt::format("did you mean '{}'?", nearest),
       option);
}

std::vector<int64_t> named_classes(const LoadedModel& loaded, const std::vector<std::string>& texts,
                                   const std::string& option) {
  std::vector<int64_t> classes;
  for (const std::string& text : texts) classes.push_back(named_class(loaded, text, option));
  if (classes.empty()) {
    classes.resize(static_cast<size_t>(loaded.model->config().classes));
    std::iota(classes.begin(), classes.end(), int64_t{0});
  }
  return classes;
}

ClassMatch match_classes(const LoadedModel& loaded, const std::string& path, const DatasetInfo& set,
                         bool allow_other) {
  const int64_t classes = loaded.model->config().classes;
  const Names model = model_class_names(loaded.input, classes);
  if (model == set.class_names) return {{}, model, model};
  const bool by_position = are_numbers(model) || are_numbers(set.class_names);
  std::optional<std::string> trouble;
  if (!by_position) {
    const auto found = classes_by_name(model, set.class_names, trouble);
    if (!trouble) {
      log_info("{}: classes matched by name, {} of the model's {}", set.name, set.classes(),
               classes);
      return {found, model, model};
    }
  }
  // Names that the model does not know, or it knows none.
  if (const auto found = numbered_classes(set.class_names, classes);
      found && (trouble || are_numbers(model))) {
    log_info("{}: folders are class numbers, {} of the model's {}", set.name, set.classes(),
             classes);
    return {*found, model, model};
  }
  const bool fits = set.classes() == classes;
  if (trouble && !(allow_other && fits))
    fail(ErrorKind::usage, "{}: made for {}, but {} has {}: {}{}", path, described(model), set.name,
         described(set.class_names), *trouble,
         fits ? "; --allow-other-classes takes them by position" : "");
  expect(fits, "{}: made for {}, but {} has {}", path, described(model), set.name,
         described(set.class_names));
  if (by_position)
    log_info("{}: classes taken by position, as those of {} have no names", set.name,
             are_numbers(model) ? "the model" : "the set");
  const Names& names = are_numbers(model) ? set.class_names : model;
  return {{}, names, are_numbers(set.class_names) ? names : set.class_names};
}

}  // namespace pal
