#pragma once
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "layers/models/model_io.h"

namespace pal {

/// How the labels of a set become classes of a model, and what these are called.
struct ClassMatch {
  /// The model's class for each class of the set; empty: they have the same numbers.
  std::vector<int32_t> class_of_label;
  /// What the model calls its classes, or the set if the model has only numbers.
  std::vector<std::string> names;
  /// What a label is called, by the model's class: as in `names`, but where classes of other names
  /// are taken by position.
  std::vector<std::string> label_names;

  /// The model's class of a label of the set.
  int64_t model_class(int32_t label) const {
    return class_of_label.empty() ? label : class_of_label[static_cast<size_t>(label)];
  }
};

/// What a model calls its classes; their numbers where it has no name for each.
std::vector<std::string> model_class_names(const InputSpec& input, int64_t classes);

/// The model's class that a text means: a name or a number. Throws usage, beginning with `option`.
int64_t named_class(const LoadedModel& loaded, const std::string& text, const std::string& option);

/// Those of several texts; all classes for none.
std::vector<int64_t> named_classes(const LoadedModel& loaded, const std::vector<std::string>& texts,
                                   const std::string& option);

/// Matches the classes of a set and of a model (of the file `path`) by name, whatever their order;
/// the set may lack some. Names that are numbers, but not listed in their order (folders 0, 1, 10,
/// ..., as ImageNetV2 has them), are class numbers. Where one of them knows only numbers, or with `allow_other` where a name
/// of the set is not one of the model's, they are matched by position. Throws usage naming both
/// sides if a name is unknown, or their numbers differ where the position counts.
ClassMatch match_classes(const LoadedModel& loaded, const std::string& path, const DatasetInfo& set,
                         bool allow_other);

}  // namespace pal
