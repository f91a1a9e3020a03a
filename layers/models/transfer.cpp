#include "layers/models/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "layers/act_norm_block.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr const char* kHead = "head";
constexpr std::string_view kPrefix = "model.";

using TensorsByName = std::map<std::string, Tensor>;

TensorsByName tensors_of(const Model& model) {
  TensorsByName tensors;
  for (const Parameter* p : model.state().parameters) tensors[p->name] = p->value;
  for (const Buffer& b : model.state().buffers)
    if (b.tensor->defined()) tensors[b.name] = *b.tensor;
  return tensors;
}

TensorsByName tensors_of(const Checkpoint& checkpoint) {
  TensorsByName tensors;
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (name.starts_with(kPrefix)) tensors[name.substr(kPrefix.size())] = tensor;
  return tensors;
}

/// The names of each block's tensors.
std::map<std::string, std::set<std::string>> names_by_block(const TensorsByName& tensors) {
  std::map<std::string, std::set<std::string>> blocks;
  for (const auto& [name, tensor] : tensors) blocks[block_of_tensor(name)].insert(name);
  return blocks;
}

/// The fields that decide what tensors of equal shape mean, of those that the networks read.
std::vector<std::string> telling_fields(const ModelConfig& a, const ModelConfig& b) {
  std::vector<std::string> fields = {"channels", "blocks", "strides", "widths", "entry", "subnet"};
  const bool entry = a.entry == EntryKind::entry || b.entry == EntryKind::entry;
  if (a.family == ModelFamily::resnet || entry) fields.emplace_back("entry-width");
  if (a.family == ModelFamily::resnet) return fields;
  if (entry) fields.emplace_back("entry-7x7");
  for (const char* field : {"coupling", "mixing", "welling", "gin", "clamp", "act-norm", "dct",
                            "latent-norm", "head-permutation"})
    fields.emplace_back(field);
  if (a.mixing == MixingKind::householder && b.mixing == MixingKind::householder)
    fields.emplace_back("reflections");
  return fields;
}

std::vector<FieldDifference> differences_of(const ModelConfig& file, const ModelConfig& here) {
  std::vector<FieldDifference> differences;
  for (const std::string& field : telling_fields(file, here))
    if (field_text(file, field) != field_text(here, field))
      differences.push_back({field, field_text(file, field), field_text(here, field)});
  return differences;
}

/// Where each class of `here` stands in the file; -1: nowhere.
std::vector<int64_t> rows_of_classes(const std::vector<std::string>& here,
                                     const std::vector<std::string>& file) {
  std::vector<int64_t> rows(here.size(), -1);
  const bool same = here == file;
  if (!same && (are_numbers(here) || are_numbers(file))) return rows;
  for (size_t i = 0; i < here.size(); ++i) {
    const auto at =
        same ? file.begin() + static_cast<int64_t>(i) : std::ranges::find(file, here[i]);
    const bool told =
        same || (std::ranges::count(file, here[i]) == 1 && std::ranges::count(here, here[i]) == 1);
    if (told) rows[i] = at - file.begin();
  }
  return rows;
}

class Transfer {
 public:
  Transfer(const Checkpoint& checkpoint, const std::string& path, const InputSpec& input,
           Model& model)
      : path_(path),
        model_(model),
        input_(input),
        file_config_(checkpoint_config(checkpoint, path)),
        file_input_(checkpoint_input(checkpoint, path)),
        here_(tensors_of(model)),
        file_(tensors_of(checkpoint)) {
    report_.path = path;
    check_families();
    check_classes();
    rows_ = rows_of_classes(input.class_names, file_input_.class_names);
  }

  TransferReport run() {
    describe();
    plan_blocks();
    plan_head();
    for (const auto& [target, source] : copies_) target.copy_from(source);
    model_.refresh();
    finish();
    return std::move(report_);
  }

 private:
  void check_families() const {
    const ModelConfig& here = model_.config();
    if (file_config_.family == here.family) return;
    const bool flow = here.family == ModelFamily::flow;
    fail(ErrorKind::usage, "{} holds a {} ({}), this run trains a {} ({})", path_,
         flow ? "ResNet" : "flow", file_config_.arch, flow ? "flow" : "ResNet", here.arch);
  }

  void check_classes() const {
    const auto classes = static_cast<int64_t>(file_input_.class_names.size());
    if (classes != file_config_.classes)
      fail(ErrorKind::data, "{}: class_names: expected {} names, found {}", path_,
           file_config_.classes, classes);
    for (const char* name : {"mu_mean", "mu_alpha", "fc.weight", "fc.bias"})
      if (const auto found = file_.find(name); found != file_.end())
        if (found->second.rank() == 0 || found->second.size(0) != classes)
          fail(ErrorKind::data, "{}: model.{}: expected {} rows, found {}", path_, name, classes,
               found->second.shape().str());
    expect(static_cast<int64_t>(input_.class_names.size()) == model_.config().classes,
           "transfer_state: expected {} class names, got {}", model_.config().classes,
           input_.class_names.size());
  }

  void describe() {
    report_.flow = model_.has_density();
    report_.classes = model_.config().classes;
    report_.classes_in_file = file_config_.classes;
    report_.same_classes = input_.class_names == file_input_.class_names;
    report_.differences = differences_of(file_config_, model_.config());
    report_.inputs_differ = input_.mean != file_input_.mean || input_.std != file_input_.std;
    report_.image_size = model_.config().image_size;
    report_.image_size_in_file = file_config_.image_size;
  }

  /// Whether the file has this tensor with as many rows or, if `by_row`, with rows as long.
  bool fits(const std::string& name, bool by_row = false) const {
    const auto mine = here_.find(name);
    const auto other = file_.find(name);
    if (mine == here_.end() || other == file_.end()) return false;
    const Shape& a = mine->second.shape();
    const Shape& b = other->second.shape();
    const bool equal =
        by_row ? a.rank() == b.rank() && (a.rank() == 1 || a.last() == b.last()) : a == b;
    if (equal && mine->second.dtype() != other->second.dtype())
      fail(ErrorKind::data, "{}: model.{}: expected {}, found {}", path_, name,
           name_of(mine->second.dtype()), name_of(other->second.dtype()));
    return equal;
  }

  void load(const std::string& name) {
    copies_.emplace_back(here_.at(name), file_.at(name));
    loaded_.insert(name);
    used_.insert(name);
    report_.values_loaded += here_.at(name).numel();
  }

  /// Copies the rows of classes that the file knows too.
  void load_rows(const std::string& name) {
    if (report_.same_classes) return load(name);
    const Tensor& target = here_.at(name);
    for (size_t i = 0; i < rows_.size(); ++i)
      if (rows_[i] >= 0)
        copies_.emplace_back(target.slice_batch(static_cast<int64_t>(i), 1),
                             file_.at(name).slice_batch(rows_[i], 1));
    const auto known = std::ranges::count_if(rows_, [](int64_t row) { return row >= 0; });
    if (known == report_.classes) loaded_.insert(name);
    if (known > 0) used_.insert(name);
    report_.values_loaded += known * target.numel() / report_.classes;
  }

  void plan_blocks() {
    const auto file_blocks = names_by_block(file_);
    const std::string latent = latent_norm();
    bool any = false;
    report_.network_loaded = true;
    for (const auto& [block, names] : names_by_block(here_)) {
      if (block == kHead) continue;
      const auto other = file_blocks.find(block);
      const bool whole = other != file_blocks.end() && other->second == names &&
                         std::ranges::all_of(names, [&](const auto& name) { return fits(name); });
      if (whole) {
        std::ranges::for_each(names, [&](const std::string& name) { load(name); });
        any = any || block != latent;
        continue;
      }
      report_.network_loaded = false;
      if (names.contains(block + ".act_norm")) report_.new_act_norms.push_back(block);
      if (block == latent) report_.new_latent_norm = block;
    }
    if (!any) refuse();
  }

  [[noreturn]] void refuse() const {
    std::vector<std::string> there, here;
    for (const FieldDifference& each : report_.differences) {
      there.push_back(fmt::format("{} {}", each.field, each.in_file));
      here.push_back(fmt::format("{} {}", each.field, each.here));
    }
    fail(ErrorKind::usage,
         "{}: no block of its network fits: made for {} ({}), this run's has {} ({})", path_,
         fmt::join(there, ", "), file_config_.arch, fmt::join(here, ", "), model_.config().arch);
  }

  /// The block that is the latent act norm; "" if there is none.
  std::string latent_norm() const {
    const auto* const flow = dynamic_cast<const IbInn*>(&model_);
    if (flow == nullptr) return "";
    const InvertibleChain& chain = flow->chain();
    const int last = chain.size() - 1;
    return dynamic_cast<ActNormBlock*>(&chain.block(last)) != nullptr ? chain.name(last) : "";
  }

  void plan_head() {
    const auto has = [&](const char* name) {
      return std::pair(here_.contains(name), file_.contains(name));
    };
    bool rows = false;
    if (model_.has_density()) {
      // Means of another order of the latent vector would be other means, and factors of other
      // prototypes say nothing.
      const bool ordered = fits("head_permutation");
      if (ordered) load("head_permutation");
      rows =
          fits("mu_mean", true) && (ordered || has("head_permutation") == std::pair(false, false));
      if (rows) load_rows("mu_mean");
      if (fits("mu_prototypes")) {
        load("mu_prototypes");
        if (rows && fits("mu_alpha", true)) load_rows("mu_alpha");
      }
    } else {
      rows = fits("fc.weight", true) && fits("fc.bias", true);
      if (rows) load_rows("fc.weight");
      if (rows) load_rows("fc.bias");
    }
    if (rows)
      report_.classes_loaded = std::ranges::count_if(rows_, [](int64_t row) { return row >= 0; });
  }

  /// Sorts the names, in the model's order.
  void finish() {
    const auto sort_in = [&](const std::string& name) {
      (loaded_.contains(name) ? report_.loaded : report_.made_new).push_back(name);
      report_.values += here_.at(name).numel();
    };
    for (const Parameter* p : model_.state().parameters) sort_in(p->name);
    for (const Buffer& b : model_.state().buffers)
      if (here_.contains(b.name)) sort_in(b.name);
    for (const auto& [name, tensor] : file_)
      if (!used_.contains(name)) report_.left_out.push_back(name);
  }

  const std::string& path_;
  Model& model_;
  const InputSpec& input_;
  ModelConfig file_config_;
  InputSpec file_input_;
  TensorsByName here_, file_;
  std::vector<int64_t> rows_;
  std::vector<std::pair<Tensor, Tensor>> copies_;
  std::set<std::string> loaded_;
  std::set<std::string> used_;  // loaded whole or by rows
  TransferReport report_;
};

}  // namespace

std::string block_of_tensor(const std::string& name) {
  const auto begins = [&](const char* with) { return name.starts_with(with); };
  if (begins("mu_") || begins("head_permutation") || begins("fc.")) return kHead;
  if (!begins("blocks.") && !begins("layer")) return "stem";
  const size_t second = name.find('.', name.find('.') + 1);
  return name.substr(0, second);
}

TransferReport transfer_state(const Checkpoint& checkpoint, const std::string& path,
                              const InputSpec& input, Model& model) {
  return Transfer(checkpoint, path, input, model).run();
}

}  // namespace pal
