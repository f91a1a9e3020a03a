#include "data/sources/class_subset.h"

#include <utility>

#include "data/sources/class_names.h"
#include "data/sources/hasher.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// The places of the images that are kept, in order.
template <typename Label>
std::vector<int64_t> kept_places(int64_t count, const ClassChoice& choice, const std::string& set,
                                 const Label& label) {
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i)
    if (choice.label_of[static_cast<size_t>(label(i))] >= 0) places.push_back(i);
  if (places.empty())
    fail(ErrorKind::data, "{}: has no image of its class{} {}", one_line(set),
         choice.names.size() == 1 ? "" : "es", some_names(choice.names));
  return places;
}

class PictureSubset : public PictureSource {
 public:
  PictureSubset(std::unique_ptr<PictureSource> source, const ClassChoice& choice)
      : source_(std::move(source)),
        choice_(choice),
        places_(kept_places(source_->count(), choice, source_->name(),
                            [&](int64_t i) { return source_->label(i); })) {}

  const std::string& name() const override { return source_->name(); }
  int64_t count() const override { return static_cast<int64_t>(places_.size()); }
  const std::vector<std::string>& class_names() const override { return choice_.names; }
  int32_t label(int64_t index) const override {
    return choice_.label_of[static_cast<size_t>(source_->label(place(index)))];
  }
  std::string item_name(int64_t index) const override { return source_->item_name(place(index)); }
  void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const override {
    source_->read(place(index), bytes, most);
  }
  uint64_t fingerprint() const override {
    Hasher hasher;
    hasher.add(static_cast<int64_t>(source_->fingerprint()));
    for (const int32_t label : choice_.label_of) hasher.add(int64_t{label});
    return hasher.value();
  }

 private:
  int64_t place(int64_t index) const { return places_[static_cast<size_t>(index)]; }

  std::unique_ptr<PictureSource> source_;
  ClassChoice choice_;
  std::vector<int64_t> places_;
};

}  // namespace

ClassChoice choose_classes(const std::vector<std::string>& names, const std::vector<bool>& kept) {
  ClassChoice choice;
  for (size_t y = 0; y < names.size(); ++y) {
    choice.label_of.push_back(kept[y] ? static_cast<int32_t>(choice.names.size()) : -1);
    if (kept[y]) choice.names.push_back(names[y]);
  }
  return choice;
}

ImageSet image_subset(const ImageSet& set, const ClassChoice& choice) {
  ImageSet subset;
  subset.name = set.name;
  subset.height = set.height;
  subset.width = set.width;
  subset.channels = set.channels;
  subset.class_names = choice.names;
  subset.classes = static_cast<int64_t>(choice.names.size());
  const auto places = kept_places(set.count, choice, set.name,
                                  [&](int64_t i) { return set.labels[static_cast<size_t>(i)]; });
  subset.count = static_cast<int64_t>(places.size());
  for (const int64_t i : places) {
    const auto first = set.pixels.begin() + i * set.image_size();
    subset.pixels.insert(subset.pixels.end(), first, first + set.image_size());
    subset.labels.push_back(
        choice.label_of[static_cast<size_t>(set.labels[static_cast<size_t>(i)])]);
  }
  set_fingerprint(subset);
  return subset;
}

std::unique_ptr<PictureSource> picture_subset(std::unique_ptr<PictureSource> source,
                                              const ClassChoice& choice) {
  return std::make_unique<PictureSubset>(std::move(source), choice);
}

}  // namespace pal
