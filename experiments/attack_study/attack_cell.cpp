#include "experiments/attack_study/attack_cell.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "experiments/robustness/cell_file.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

constexpr const char* kAttackImages = "images";

bool is_goal(double answer, double label, double target) {
  return target >= 0.0 ? answer == target : answer >= 0.0 && answer != label;
}

std::vector<std::pair<std::string, Tensor>> tensors_of(const AttackCell& cell) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  if (cell.images.defined()) tensors.emplace_back(kAttackImages, cell.images);
  for (const auto& [name, member] : AttackCell::columns()) {
    const std::vector<double>& values = cell.*member;
    const Tensor column =
        Tensor::empty({static_cast<int64_t>(values.size())}, DType::f64, Tag::data, Device());
    std::ranges::copy(values, column.data<double>());
    tensors.emplace_back(name, column);
  }
  return tensors;
}

/// A line for each image.
std::string cell_csv(const AttackCell& cell) {
  std::string text;
  for (const auto& [name, member] : AttackCell::columns())
    text += fmt::format("{}{}", text.empty() ? "" : ",", name);
  text += '\n';
  for (size_t i = 0; i < cell.index.size(); ++i) {
    bool first = true;
    for (const auto& [name, member] : AttackCell::columns()) {
      text += fmt::format("{}{:.9g}", first ? "" : ",", (cell.*member)[i]);
      first = false;
    }
    text += '\n';
  }
  return text;
}

}  // namespace

const std::vector<std::pair<const char*, std::vector<double> AttackCell::*>>&
AttackCell::columns() {
  using C = AttackCell;
  static const std::vector<std::pair<const char*, std::vector<double> C::*>> kColumns = {
      {"index", &C::index},
      {"label", &C::label},
      {"target", &C::target},
      {"clean_answer", &C::clean_answer},
      {"answer", &C::answer},
      {"margin_start", &C::margin_start},
      {"margin", &C::margin},
      {"confidence", &C::confidence},
      {"clean_entropy", &C::clean_entropy},
      {"entropy", &C::entropy},
      {"clean_density", &C::clean_density},
      {"density", &C::density},
      {"clean_familiarity", &C::clean_familiarity},
      {"familiarity", &C::familiarity},
      {"l2", &C::l2},
      {"linf", &C::linf},
      {"rms", &C::rms},
      {"corruption", &C::corruption},
      {"contrast", &C::contrast},
      {"answer_8bit", &C::answer_8bit},
      {"density_8bit", &C::density_8bit},
      {"familiarity_8bit", &C::familiarity_8bit},
      {"noise_reached", &C::noise_reached},
      {"steps", &C::steps},
      {"objective_start", &C::objective_start},
      {"objective", &C::objective},
      {"gradient_start", &C::gradient_start},
      {"fell", &C::fell},
      {"ended_above", &C::ended_above},
      {"broken", &C::broken}};
  return kColumns;
}

bool AttackCell::reached(int64_t i) const {
  const auto at = static_cast<size_t>(i);
  return is_goal(answer[at], label[at], target[at]);
}

bool AttackCell::reached_8bit(int64_t i) const {
  const auto at = static_cast<size_t>(i);
  return is_goal(answer_8bit[at], label[at], target[at]);
}

AttackCell AttackCell::joined(const std::vector<AttackCell>& parts) {
  AttackCell whole;
  int64_t images_in_all = 0;
  for (const AttackCell& part : parts) {
    for (const auto& [name, member] : columns())
      (whole.*member).insert((whole.*member).end(), (part.*member).begin(), (part.*member).end());
    images_in_all += part.images.size(0);
  }
  if (images_in_all == 0) return whole;
  const Shape& shape = parts[0].images.shape();
  whole.images =
      Tensor::empty({images_in_all, shape[1], shape[2], shape[3]}, DType::f32, Tag::data, Device());
  int64_t at = 0;
  for (const AttackCell& part : parts) {
    whole.images.slice_batch(at, part.images.size(0)).copy_from(part.images);
    at += part.images.size(0);
  }
  return whole;
}

void AttackCell::keep_images(int64_t most) {
  if (images.defined() && most < images.size(0))
    images = most > 0 ? images.slice_batch(0, most).clone(Tag::data) : Tensor();
}

void AttackCell::add_to(Message& message) const {
  for (const auto& [name, member] : columns()) message.add(this->*member);
  const Shape& shape = images.shape();
  message.add(std::vector<int64_t>{shape[0], shape[1], shape[2], shape[3]})
      .add(std::span<const float>(images.data<float>(), static_cast<size_t>(images.numel())));
}

AttackCell AttackCell::from(Message& message) {
  AttackCell cell;
  for (const auto& [name, member] : columns()) cell.*member = message.take<double>();
  const auto shape = message.take<int64_t>();
  cell.images =
      Tensor::empty({shape[0], shape[1], shape[2], shape[3]}, DType::f32, Tag::data, Device());
  std::ranges::copy(message.take<float>(), cell.images.data<float>());
  return cell;
}

AttackFiles::AttackFiles(std::string folder, std::map<std::string, std::string> made_of,
                         Communicator* ranks)
    : folder_(std::move(folder)), made_of_(std::move(made_of)), ranks_(ranks) {
  made_of_["format"] = "palindrome-attack-batch";
}

std::string AttackFiles::path_of(const std::string& model, const std::string& setting,
                                 int64_t batch) const {
  return (std::filesystem::path(folder_) / model / setting /
          fmt::format("batch-{:04d}.safetensors", batch))
      .string();
}

std::map<std::string, std::string> AttackFiles::metadata_of(const std::string& setting,
                                                            const std::string& details,
                                                            int64_t batch) const {
  auto metadata = made_of_;
  metadata["setting"] = setting;
  metadata["details"] = details;
  metadata["batch"] = std::to_string(batch);
  return metadata;
}

std::optional<AttackCell> AttackFiles::find(const std::string& model, const std::string& setting,
                                            const std::string& details, int64_t batch) const {
  if (folder_.empty()) return std::nullopt;
  Message message = from_first_rank(ranks_, [&] {
    const auto cell = read(model, setting, details, batch);
    Message said;
    said.add(std::vector<int32_t>(cell ? 1 : 0));
    if (cell) cell->add_to(said);
    return said;
  });
  if (message.take<int32_t>().empty()) return std::nullopt;
  return AttackCell::from(message);
}

std::optional<AttackCell> AttackFiles::read(const std::string& model, const std::string& setting,
                                            const std::string& details, int64_t batch) const {
  const auto file =
      find_cell_file(path_of(model, setting, batch), metadata_of(setting, details, batch));
  if (!file) return std::nullopt;
  const auto wrong = [&](const std::string& name) {
    fail(ErrorKind::data, "{}: {}: not as pal-attack writes it; remove the file", file->name(),
         name);
  };
  AttackCell cell;
  for (const auto& [name, member] : AttackCell::columns()) {
    if (!file->contains(name)) wrong(name);
    const Tensor column = file->tensor(name);
    if (column.dtype() != DType::f64 || column.rank() != 1) wrong(name);
    cell.*member = {column.data<double>(), column.data<double>() + column.numel()};
    if ((cell.*member).size() != cell.index.size()) wrong(name);
  }
  if (!file->contains(kAttackImages)) wrong(kAttackImages);
  cell.images = file->tensor(kAttackImages);
  if (cell.images.dtype() != DType::f32 || cell.images.rank() != 4 ||
      cell.images.size(0) != cell.count())
    wrong(kAttackImages);
  return cell;
}

void AttackFiles::save(const std::string& model, const std::string& setting,
                       const std::string& details, int64_t batch, const AttackCell& cell) const {
  if (folder_.empty()) return;
  from_first_rank(ranks_, [&] {
    const std::string path = path_of(model, setting, batch);
    make_folders(std::filesystem::path(path).parent_path().string());
    write_safetensors(path, metadata_of(setting, details, batch), tensors_of(cell));
    return Message();
  });
}

std::vector<ArrayField> attack_fields() {
  constexpr const char* kValues = "values in [0, 1]";
  constexpr const char* kDensity = "nats per dimension";
  // By the beginnings of names: what holds before the attack, or of the 8-bit picture, is alike.
  struct Meaning {
    std::string_view begin;
    const char* unit;
    const char* what;
  };
  constexpr Meaning kMeanings[] = {
      {"index", "", "place in the set"},
      {"label", "class", "the model's class"},
      {"target", "class", "-1: any but the label"},
      {"answer", "class", "the likeliest"},
      {"margin", "nats", "of class scores; below 0: the goal is reached"},
      {"confidence", "", "largest q(y|x)"},
      {"entropy", "nats", "of q(y|x)"},
      {"density", kDensity, "ln q(x) / D; 0 without a density"},
      {"familiarity", "", "p-value; 1 without a calibration"},
      {"l2", kValues, "L2 norm of the change"},
      {"linf", kValues, "largest change of a value"},
      {"rms", kValues, "L2 norm of the change by the root of the number of values"},
      {"corruption", kValues, "mean over pixels of the L2 norm of the colours' change"},
      {"contrast", "", "std(x_adv) / std(x)"},
      {"noise_reached", "", "1: noise of the same size reaches the goal, too"},
      {"steps", "", "steps that were taken"},
      {"objective", "", "of the attack"},
      {"gradient_start", "", "norm of the objective's gradient"},
      {"fell", "", "1: the objective fell"},
      {"ended_above", "", "1: the objective ended above its start"},
      {"broken", "", "1: the attack met what is not finite"}};
  std::vector<ArrayField> fields = {
      {kAttackImages, "[images, height, width, colours]", kValues, "x_adv"}};
  for (const auto& [name, member] : AttackCell::columns()) {
    std::string_view plain = name;
    const bool before = plain.starts_with("clean_");
    if (before) plain.remove_prefix(std::string_view("clean_").size());
    for (const Meaning& meaning : kMeanings)
      if (plain.starts_with(meaning.begin)) {
        const bool levels = plain.ends_with("_8bit");
        const bool start = before || plain.ends_with("_start");
        fields.push_back({name, "[images]", meaning.unit,
                          std::string(meaning.what) + (levels  ? ", of the picture's levels"
                                                       : start ? ", before the attack"
                                                               : "")});
        break;
      }
  }
  return fields;
}

void write_attack_cell(const std::string& path, const AttackCell& cell,
                       const std::map<std::string, std::string>& metadata) {
  make_folders(std::filesystem::path(path).parent_path().string());
  write_atomic(path + ".csv", cell_csv(cell));
  write_safetensors(path + ".safetensors", metadata, tensors_of(cell));
}

}  // namespace pal
