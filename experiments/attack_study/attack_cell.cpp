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

void write_attack_cell(const std::string& path, const AttackCell& cell,
                       const std::map<std::string, std::string>& metadata) {
  make_folders(std::filesystem::path(path).parent_path().string());
  write_atomic(path + ".csv", cell_csv(cell));
  write_safetensors(path + ".safetensors", metadata, tensors_of(cell));
}

}  // namespace pal
