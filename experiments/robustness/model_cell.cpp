#include "experiments/robustness/model_cell.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "experiments/robustness/cell_file.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<size_t>(1, values.size()));
}

template <typename T>
Tensor tensor_of(const std::vector<T>& values, DType dtype) {
  Tensor tensor = Tensor::empty({static_cast<int64_t>(values.size())}, dtype, Tag::data, Device());
  std::ranges::copy(values, tensor.data<T>());
  return tensor;
}

template <typename T>
std::vector<T> values_of(const SafetensorsFile& file, const std::string& name, DType dtype) {
  const Tensor tensor = file.tensor(name);
  if (tensor.dtype() != dtype || tensor.rank() != 1)
    fail(ErrorKind::data, "{}: {}: not as pal-robustness writes it; remove the file", file.name(),
         name);
  return {tensor.data<T>(), tensor.data<T>() + tensor.numel()};
}

constexpr std::pair<const char*, std::vector<double> ModelCell::*> kDoubles[] = {
    {"log_density", &ModelCell::log_density},
    {"confidence", &ModelCell::confidence},
    {"cross_entropy", &ModelCell::cross_entropy},
    {"entropy", &ModelCell::entropy}};
constexpr const char* kWrong = "wrong";

}  // namespace

double ModelCell::error() const {
  return static_cast<double>(std::ranges::count(wrong, 1)) /
         static_cast<double>(std::max<size_t>(1, wrong.size()));
}

double ModelCell::mean_ce() const { return mean_of(cross_entropy); }
double ModelCell::mean_entropy() const { return mean_of(entropy); }

double ModelCell::ece() const {
  std::vector<ImageResult> images(wrong.size());
  for (size_t i = 0; i < images.size(); ++i) {
    images[i].confidence = confidence[i];
    images[i].rank = wrong[i];
  }
  return top_label_ece(images);
}

std::string cell_name(const std::string& corruption, int severity) {
  return severity == 0 ? corruption : fmt::format("{}-{}", corruption, severity);
}

ModelCell cell_of(const std::string& corruption, int severity, const EvaluationResult& result) {
  ModelCell cell{.corruption = corruption,
                 .severity = severity,
                 .has_density = result.has_density,
                 .log_density = {},
                 .confidence = {},
                 .cross_entropy = {},
                 .entropy = {},
                 .wrong = {}};
  if (result.has_density) cell.log_density = log_densities(result);
  for (const ImageResult& image : result.images) {
    cell.confidence.push_back(image.confidence);
    cell.cross_entropy.push_back(image.cross_entropy);
    cell.entropy.push_back(image.entropy);
    cell.wrong.push_back(image.rank > 0 ? 1 : 0);
  }
  return cell;
}

CellFiles::CellFiles(std::string folder, std::map<std::string, std::string> made_of,
                     Communicator* ranks)
    : folder_(std::move(folder)), made_of_(std::move(made_of)), ranks_(ranks) {
  made_of_["format"] = "palindrome-robustness-cell";
}

std::string CellFiles::path_of(const std::string& model, const std::string& cell) const {
  return (std::filesystem::path(folder_) / model / (cell + ".safetensors")).string();
}

std::map<std::string, std::string> CellFiles::metadata_of(const std::string& cell,
                                                          const std::string& pictures) const {
  auto metadata = made_of_;
  metadata["cell"] = cell;
  if (!pictures.empty()) metadata["pictures"] = pictures;
  return metadata;
}

std::optional<ModelCell> CellFiles::find(const std::string& model, const std::string& corruption,
                                         int severity, const std::string& pictures) const {
  if (folder_.empty()) return std::nullopt;
  Message message = from_first_rank(ranks_, [&] {
    const auto cell = read(model, corruption, severity, pictures);
    Message said;
    said.add(std::vector<int32_t>(cell ? 1 : 0));
    if (!cell) return said;
    for (const auto& [name, member] : kDoubles) said.add((*cell).*member);
    said.add(cell->wrong);
    return said;
  });
  if (message.take<int32_t>().empty()) return std::nullopt;
  ModelCell cell;
  cell.corruption = corruption;
  cell.severity = severity;
  for (const auto& [name, member] : kDoubles) cell.*member = message.take<double>();
  cell.wrong = message.take<int32_t>();
  cell.has_density = !cell.log_density.empty();
  return cell;
}

std::optional<ModelCell> CellFiles::read(const std::string& model, const std::string& corruption,
                                         int severity, const std::string& pictures) const {
  const std::string path = path_of(model, cell_name(corruption, severity));
  const auto found = find_cell_file(path, metadata_of(cell_name(corruption, severity), pictures));
  if (!found) return std::nullopt;
  const SafetensorsFile& file = *found;
  ModelCell cell;
  for (const auto& [name, member] : kDoubles)
    if (file.contains(name)) cell.*member = values_of<double>(file, name, DType::f64);
  if (file.contains(kWrong)) cell.wrong = values_of<int32_t>(file, kWrong, DType::i32);
  return cell;
}

void CellFiles::save(const std::string& model, const ModelCell& cell,
                     const std::string& pictures) const {
  if (folder_.empty()) return;
  from_first_rank(ranks_, [&] {
    write(model, cell, pictures);
    return Message();
  });
}

void CellFiles::write(const std::string& model, const ModelCell& cell,
                      const std::string& pictures) const {
  make_folders((std::filesystem::path(folder_) / model).string());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, member] : kDoubles)
    if (!(cell.*member).empty()) tensors.emplace_back(name, tensor_of(cell.*member, DType::f64));
  if (!cell.wrong.empty()) tensors.emplace_back(kWrong, tensor_of(cell.wrong, DType::i32));
  const std::string name = cell_name(cell.corruption, cell.severity);
  write_safetensors(path_of(model, name), metadata_of(name, pictures), tensors);
}

}  // namespace pal
