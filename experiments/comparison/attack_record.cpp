#include "experiments/comparison/attack_record.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <string_view>

#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// The names that a run's model may have in a file.
std::vector<std::string> model_names(const RunRecord& run) {
  constexpr std::string_view kFirstSeed = "_seed_0";
  std::vector<std::string> names = {run.name};
  if (run.name.ends_with(".safetensors")) names.push_back(fs::path(run.name).stem().string());
  if (run.name.ends_with(kFirstSeed))
    names.push_back(run.name.substr(0, run.name.size() - kFirstSeed.size()));
  return names;
}

/// A number, or not a number where there is none.
double number_or_nan(const nlohmann::json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

/// A finite number, or infinity as options write it.
double setting_of_text(const nlohmann::json& value) {
  return value == "inf" ? std::numeric_limits<double>::infinity() : value.get<double>();
}

Estimate read_estimate(const nlohmann::json& value) {
  return {number_or_nan(value.at("value")), number_or_nan(value.at("standard_error"))};
}

std::optional<Estimate> optional_estimate(const nlohmann::json& value) {
  if (value.is_null()) return std::nullopt;
  return read_estimate(value);
}

std::optional<double> optional_number(const nlohmann::json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<double>();
}

/// The value whose name stands in an object. Throws as for any other text that does not fit.
template <typename Named>
Named value_named(const nlohmann::json& object, const char* key,
                  std::initializer_list<Named> values) {
  const std::string name = object.at(key).get<std::string>();
  for (const Named value : values)
    if (name == name_of(value)) return value;
  fail(ErrorKind::data, "{}: {} is not known", key, name);
}

AttackSetting attack_setting_of(const nlohmann::json& row) {
  using enum AttackKind;
  AttackSetting setting;
  setting.kind = value_named(row, "attack", {cw, ddn, pgd, fgsm, square});
  setting.targeted = row.at("targeted").get<bool>();
  setting.d = row.at("d").get<double>();
  if (setting.kind == cw) {
    setting.protocol = value_named(row, "protocol", {CwProtocol::converged, CwProtocol::paper});
    setting.c = row.at("c").get<double>();
  }
  if (setting.bounded()) {
    setting.norm = value_named(row, "norm", {AttackNorm::linf, AttackNorm::l2});
    setting.eps = row.at("eps").get<double>();
  } else {
    setting.kappa = setting_of_text(row.at("kappa"));
  }
  if (setting.kind == pgd || setting.kind == fgsm)
    setting.loss = value_named(
        row, "loss",
        {AttackLoss::cross_entropy, AttackLoss::dlr, AttackLoss::margin, AttackLoss::hinge});
  return setting;
}

AttackRow attack_row_of(const nlohmann::json& from) {
  AttackRow row;
  row.setting = attack_setting_of(from);
  row.images = from.at("images").get<int64_t>();
  row.reached = from.at("reached").get<int64_t>();
  row.confidence = number_or_nan(from.at("confidence"));
  row.corruption = read_estimate(from.at("corruption"));
  row.rms = read_estimate(from.at("rms"));
  row.l2 = read_estimate(from.at("l2"));
  row.l2_reached = read_estimate(from.at("l2_reached"));
  row.linf = read_estimate(from.at("linf"));
  row.success = read_estimate(from.at("success"));
  row.success_8bit = number_or_nan(from.at("success_8bit"));
  row.auc_one_tailed = optional_estimate(from.at("auc_one_tailed"));
  row.auc_two_tailed = optional_estimate(from.at("auc_two_tailed"));
  row.flagged = optional_number(from.at("flagged"));
  row.familiarity_flagged = optional_number(from.at("familiarity_flagged"));
  row.unnoticed = optional_number(from.at("unnoticed"));
  row.entropy = number_or_nan(from.at("entropy"));
  row.entropy_clean = number_or_nan(from.at("entropy_clean"));
  return row;
}

RobustPoint robust_point_of(const nlohmann::json& from) {
  RobustPoint point;
  point.eps = from.at("eps").get<double>();
  point.accuracy = from.at("accuracy").get<double>();
  point.noticed_density = optional_number(from.at("noticed_density"));
  point.noticed_familiarity = optional_number(from.at("noticed_familiarity"));
  return point;
}

AttackRecord attack_record_of(const nlohmann::json& file, const nlohmann::json& from) {
  AttackRecord record;
  ModelAttackReport& model = record.model;
  model.label = from.at("label").get<std::string>();
  model.checkpoint = from.at("checkpoint").get<std::string>();
  if (!from.at("beta").is_null()) model.beta = setting_of_text(from.at("beta"));
  model.has_density = from.at("has_density").get<bool>();
  model.calibrated = from.at("calibrated").get<bool>();
  model.clean_accuracy = from.at("clean_accuracy").get<double>();
  model.clean_auc = optional_estimate(from.at("clean_auc"));
  model.clean_flagged = optional_number(from.at("clean_flagged"));
  model.clean_familiarity_flagged = optional_number(from.at("clean_familiarity_flagged"));
  for (const auto& row : from.at("attacks")) model.rows.push_back(attack_row_of(row));
  for (const auto& point : from.at("robust_curve")) model.curve.push_back(robust_point_of(point));
  record.images = file.at("images").get<int64_t>();
  record.norm = file.at("curve_norm").get<std::string>();
  const std::string of_model = model.label + ": ";
  for (const auto& warning : file.at("warnings"))
    if (const auto text = warning.get<std::string>(); text.starts_with(of_model))
      record.warnings.push_back(text.substr(of_model.size()));
  if (from.contains("traces")) {
    const nlohmann::json& traces = from.at("traces");
    record.paths = AttackRecord::Paths{traces.at("images").get<int64_t>(),
                                       traces.at("crossed_then_shrank").get<int64_t>()};
  }
  return record;
}

/// A run's model in a file; none if it is not there.
std::optional<AttackRecord> read_record(const std::string& path, const RunRecord& run) {
  const nlohmann::json file(parse_json_file(path));
  try {
    for (const std::string& name : model_names(run))
      for (const auto& model : file.at("models"))
        if (model.at("label").get<std::string>() == name) return attack_record_of(file, model);
    return std::nullopt;
  } catch (const std::exception&) {  // of the JSON library, or a word that is not known
    fail(ErrorKind::data, "{}: not as pal-attack writes it; make it anew", path);
  }
}

}  // namespace

const AttackRow* AttackRecord::targeted_cw(CwProtocol protocol, double kappa, double d) const {
  for (const AttackRow& row : model.rows) {
    const AttackSetting& s = row.setting;
    if (s.kind == AttackKind::cw && s.targeted && s.protocol == protocol && s.kappa == kappa &&
        s.d == d)
      return &row;
  }
  return nullptr;
}

const AttackRow* AttackRecord::targeted_ddn(double kappa) const {
  for (const AttackRow& row : model.rows)
    if (row.setting.kind == AttackKind::ddn && row.setting.targeted && row.setting.kappa == kappa)
      return &row;
  return nullptr;
}

std::optional<AttackRecord> attack_record(const RunRecord& run) {
  // By the path as it is written, so that a linked run belongs to the folder of the link.
  fs::path place = (fs::current_path() / run.path).lexically_normal();
  if (!place.has_filename()) place = place.parent_path();
  for (const fs::path& folder : {place, place.parent_path()}) {
    const std::string path = (folder / "attacks" / "attacks.json").string();
    if (!path_exists(path)) continue;
    if (auto record = read_record(path, run)) return record;
  }
  return std::nullopt;
}

}  // namespace pal
