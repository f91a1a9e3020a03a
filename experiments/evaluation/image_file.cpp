#include "experiments/evaluation/image_file.h"

#include "experiments/report/evaluation_csv.h"
#include "layers/checkpoint/stored_values.h"
#include "runtime/file.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr size_t kMostClassesKept = 100;
constexpr const char* kPerImage = "[images]";

class CsvFile : public ImageFile {
 public:
  CsvFile(const Dataset& set, const ClassMatch& classes, bool has_density)
      : table_(set, classes, has_density) {}
  std::function<void(const ImageResult&, const ClassScores&)> observer() override {
    return
        [this](const ImageResult& image, const ClassScores& scores) { table_.add(image, scores); };
  }
  std::vector<ArrayField> fields() const override { return {}; }
  void write(const std::string& path, const std::map<std::string, std::string>&) const override {
    write_atomic(path, table_.text());
  }

 private:
  ImageTable table_;
};

/// A number of each image, by its name in the file.
struct Column {
  ArrayField field;
  double ImageResult::*value;
  bool of_density = false;
};
const std::vector<Column>& columns() {
  static const std::vector<Column> kColumns = {
      {{"confidence", kPerImage, "", "largest q(y|x)"}, &ImageResult::confidence},
      {{"entropy", kPerImage, "nats", "of q(y|x)"}, &ImageResult::entropy},
      {{"ce", kPerImage, "nats", "cross-entropy of the label"}, &ImageResult::cross_entropy},
      {{"loss_y", kPerImage, "nats", "L_Y, of the smoothed label"}, &ImageResult::loss_y},
      {{"loss_x", kPerImage, "nats per dimension", "L_X"}, &ImageResult::loss_x, true},
      {{"loss_class", kPerImage, "nats per dimension", "of the smoothed label's class"},
       &ImageResult::loss_class,
       true},
      {{"log_density", kPerImage, "nats per dimension", "ln q(x) / D of the network's input"},
       &ImageResult::log_density,
       true}};
  return kColumns;
}

class ArrayFile : public ImageFile {
 public:
  ArrayFile(const Dataset& set, size_t classes, bool has_density)
      : set_(set), classes_(classes), has_density_(has_density), numbers_(columns().size()) {}

  std::function<void(const ImageResult&, const ClassScores&)> observer() override {
    return [this](const ImageResult& image, const ClassScores& scores) { add(image, scores); };
  }

  std::vector<ArrayField> fields() const override {
    std::vector<ArrayField> fields = {
        {"index", kPerImage, "", "place in the set"},
        {"label", kPerImage, "class", "the model's class of the label"},
        {"predicted", kPerImage, "class", "the likeliest class"},
        {"rank", kPerImage, "", "classes before the label"}};
    for (const Column& column : columns())
      if (has_density_ || !column.of_density) fields.push_back(column.field);
    if (keeps_probabilities())
      fields.push_back({"probabilities", "[images, classes]", "", "q(y|x)"});
    fields.push_back({"names", "[bytes]", "", "names of the images, each ended by a zero byte"});
    return fields;
  }

  void write(const std::string& path,
             const std::map<std::string, std::string>& metadata) const override {
    std::vector<StoredTensor> arrays = {
        stored_values("index", index_), stored_values("label", label_),
        stored_values("predicted", predicted_), stored_values("rank", rank_)};
    for (size_t i = 0; i < columns().size(); ++i)
      if (has_density_ || !columns()[i].of_density)
        arrays.push_back(stored_values(columns()[i].field.name, numbers_[i]));
    if (keeps_probabilities())
      arrays.push_back(
          stored_values("probabilities", probabilities_,
                        {static_cast<int64_t>(index_.size()), static_cast<int64_t>(classes_)}));
    arrays.push_back(stored_values("names", names_));
    write_safetensors(path, metadata, arrays);
  }

 private:
  bool keeps_probabilities() const { return classes_ <= kMostClassesKept; }

  void add(const ImageResult& image, const ClassScores& scores) {
    index_.push_back(image.index);
    label_.push_back(image.label);
    predicted_.push_back(image.predicted);
    rank_.push_back(image.rank);
    for (size_t i = 0; i < columns().size(); ++i) numbers_[i].push_back(image.*columns()[i].value);
    if (keeps_probabilities())
      for (const double probability : scores.probabilities)
        probabilities_.push_back(static_cast<float>(probability));
    names_ += set_.item_name(image.index);
    names_ += '\0';
  }

  const Dataset& set_;
  size_t classes_;
  bool has_density_;
  std::vector<int64_t> index_;
  std::vector<int32_t> label_, predicted_, rank_;
  std::vector<std::vector<double>> numbers_;  // of each column
  std::vector<float> probabilities_;          // [images, classes]
  std::string names_;
};

}  // namespace

std::unique_ptr<ImageFile> open_image_file(const std::string& path, const Dataset& set,
                                           const ClassMatch& classes, bool has_density) {
  if (path.empty()) return nullptr;
  if (lower_case(path).ends_with(".safetensors"))
    return std::make_unique<ArrayFile>(set, classes.names.size(), has_density);
  return std::make_unique<CsvFile>(set, classes, has_density);
}

std::vector<ArrayField> latent_fields() {
  return {{"latents", "[images, dimensions]", "", "z, as the inverse takes it"},
          {"labels", kPerImage, "class", "the model's class of the label"},
          {"indices", kPerImage, "", "place in the set"},
          {"scores", "[images, classes]", "nats", "l_y - ln M: class scores with the prior"},
          {"log_det", kPerImage, "nats", "ln |det J| of the whole network"}};
}

}  // namespace pal
