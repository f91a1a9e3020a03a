#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "experiments/comparison/attack_record.h"
#include "experiments/comparison/orderings.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "tests/experiments/sweep_runs.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using namespace testing;
using Verdict = Ordering::Verdict;

/// What a targeted attack found on 100 images.
AttackRow cw_row(double kappa, double d, double l2, double auc, double confidence = 0.98,
                 CwProtocol protocol = CwProtocol::converged) {
  AttackRow row;
  row.setting.kappa = kappa;
  row.setting.d = d;
  row.setting.protocol = protocol;
  row.images = row.reached = 100;
  row.confidence = confidence;
  row.l2 = row.l2_reached = {l2, 0.01 * l2};
  row.rms = {l2 / 28.0, 0.01 * l2 / 28.0};
  row.success = {1.0, 0.0};
  row.success_8bit = 0.5;
  row.auc_two_tailed = row.auc_one_tailed = Estimate{auc, 0.01};
  row.flagged = 0.25;
  row.entropy = 0.5;
  return row;
}

ModelAttackReport attacked(double beta, const std::vector<AttackRow>& rows) {
  ModelAttackReport model;
  model.label = beta < 0.0 ? "resnet" : fmt::format("beta_{:g}", beta);
  model.checkpoint = model.label + ".safetensors";
  model.beta = std::max(0.0, beta);  // as networks that only classify record it
  model.has_density = beta >= 0.0;
  model.clean_accuracy = 0.9;
  if (model.has_density) {
    model.clean_auc = Estimate{0.5, 0.02};
    model.clean_flagged = 0.05;
  }
  model.rows = rows;
  if (!model.has_density)
    for (AttackRow& row : model.rows) {
      row.auc_two_tailed = row.auc_one_tailed = std::nullopt;
      row.flagged = std::nullopt;
    }
  model.curve.resize(2);
  model.curve[0].accuracy = 0.9;
  model.curve[1].eps = 0.1;
  model.curve[1].accuracy = 0.2;
  return model;
}

/// A sweep whose runs lie in a folder beside one of attacks; the attacks are those of seed 0.
class Attacked {
 public:
  explicit Attacked(std::vector<ModelAttackReport> models) {
    report_.dataset = "fashion-mnist";
    report_.images = 100;
    report_.norm = "Linf";
    report_.models = std::move(models);
    std::filesystem::create_directories(folder_.path() + "/attacks");
    write(parse_json(to_json(report_)));
  }

  void write(const nlohmann::json& file) { folder_.write("attacks/attacks.json", json_text(file)); }

  /// Runs of two seeds for each model.
  std::vector<RunRecord> runs() const {
    std::vector<RunRecord> runs;
    for (const ModelAttackReport& model : report_.models)
      for (uint64_t seed = 0; seed < 2; ++seed) {
        runs.push_back(run_of(model.has_density ? *model.beta : -1.0, seed));
        runs.back().name = fmt::format("{}_seed_{}", model.label, seed);
        runs.back().path = folder_.path() + "/" + runs.back().name;
      }
    return runs;
  }

  nlohmann::json json() const { return parse_json(to_json(report_)); }

 private:
  TemporaryFolder folder_;
  AttackReport report_;
};

TEST(AttackRecord, HoldsWhatAReportWrites) {
  ModelAttackReport one =
      attacked(1.0, {cw_row(0.01, 0.0, 0.3, 0.6), cw_row(kInfinity, 66.0, 3.0, 1.0)});
  AttackRow ddn = cw_row(1.0, 0.0, 0.2, 0.5), pgd = ddn, lost = ddn;
  ddn.setting.kind = AttackKind::ddn;
  pgd.setting.kind = AttackKind::pgd;
  pgd.setting.loss = AttackLoss::dlr;
  pgd.setting.norm = AttackNorm::l2;
  pgd.setting.eps = 0.5;
  pgd.setting.targeted = false;
  lost.setting.protocol = CwProtocol::paper;
  lost.reached = 0;
  lost.l2_reached = {std::nan(""), 0.0};
  one.rows.insert(one.rows.end(), {ddn, pgd, lost});
  const Attacked files({one, attacked(0.0, {}), attacked(-1.0, {cw_row(0.01, 0.0, 1.0, 0.5)})});
  const std::vector<RunRecord> runs = files.runs();
  const auto record = attack_record(runs[0]);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->model.label, "beta_1");
  EXPECT_EQ(record->norm, "Linf");
  EXPECT_EQ(record->images, 100);
  ASSERT_EQ(record->model.rows.size(), 5U);
  for (size_t i = 0; i < one.rows.size(); ++i)
    EXPECT_EQ(record->model.rows[i].setting.name(), one.rows[i].setting.name());
  EXPECT_EQ(record->targeted_cw(CwProtocol::converged, 0.01, 0.0)->l2_reached.value, 0.3);
  EXPECT_EQ(record->targeted_cw(CwProtocol::converged, kInfinity, 66.0)->l2.value, 3.0);
  EXPECT_EQ(record->targeted_cw(CwProtocol::converged, 0.01, 66.0), nullptr);
  EXPECT_EQ(record->targeted_ddn(1.0)->l2.value, 0.2);
  EXPECT_TRUE(std::isnan(record->model.rows[4].l2_reached.value));
  EXPECT_EQ(record->model.curve.at(1).accuracy, 0.2);
  EXPECT_FALSE(record->paths.has_value());
  EXPECT_FALSE(attack_record(runs[1]).has_value()) << "of seed 1";
  EXPECT_FALSE(attack_record(runs[2])->names_classes()) << "beta 0";
  EXPECT_TRUE(attack_record(runs[4])->names_classes()) << "a ResNet";
}

TEST(AttackRecord, WarningsOfItsOwnModel) {
  Attacked files({attacked(1.0, {}), attacked(16.0, {})});
  nlohmann::json file = files.json();
  file["warnings"] = {"beta_1: ddn-k1: blind", "beta_16: ddn-k1: no slope"};
  files.write(file);
  EXPECT_EQ(attack_record(files.runs()[0])->warnings, std::vector<std::string>{"ddn-k1: blind"});
}

TEST(AttackRecord, FilesOfOthersAreRefused) {
  Attacked files({attacked(1.0, {cw_row(0.01, 0.0, 0.3, 0.6)})});
  const auto refuses = [&](const char* pointer, const nlohmann::json& value) {
    nlohmann::json file = files.json();
    file[nlohmann::json::json_pointer(pointer)] = value;
    files.write(file);
    try {
      attack_record(files.runs()[0]);
      ADD_FAILURE() << pointer;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_TRUE(contains(error.what(), "attacks/attacks.json: not as pal-attack writes it"))
          << error.what();
    }
  };
  refuses("/models", 3);
  refuses("/models/0/label", nullptr);
  refuses("/models/0/attacks/0/attack", "worse");
  refuses("/models/0/attacks/0/l2", "far");
  refuses("/models/0/attacks/0/kappa", "huge");
  refuses("/models/0/robust_curve", 1.0);
  refuses("/models/0/traces", 1.0);
  files.write(nlohmann::json::array());
  EXPECT_THROW(attack_record(files.runs()[0]), Error);
}

TEST(AttackOrderings, NothingMeasured) {
  std::vector<RunRecord> runs;
  add_runs(runs, 1.0, "acc1", {0.8});
  EXPECT_EQ(verdict_of(runs, "size, detection and confidence of attacks"), Verdict::not_measured);
  EXPECT_EQ(verdict_of(runs, "attacks first cross"), Verdict::not_measured);
}

/// As the paper has it.
std::vector<ModelAttackReport> as_published() {
  const auto rows = [](double l2, double auc, double confidence) {
    return std::vector<AttackRow>{
        cw_row(0.01, 0.0, l2, auc, confidence), cw_row(0.01, 66.0, 1.2 * l2, auc - 0.1),
        cw_row(kInfinity, 0.0, 10.0 * l2, 1.0), cw_row(kInfinity, 66.0, 10.0 * l2, 1.0)};
  };
  return {attacked(0.0, rows(3.0, 0.99, 0.9)), attacked(1.0, rows(1.6, 0.92, 0.999)),
          attacked(kInfinity, rows(0.7, 0.56, 0.65)), attacked(-1.0, rows(0.8, 0.5, 0.65))};
}

TEST(AttackOrderings, AsPublished) {
  const Attacked files(as_published());
  const std::vector<RunRecord> runs = files.runs();
  for (const char* words :
       {"of attacks falls with beta", "about twice the feed-forward", "mostly grows with d",
        "far larger for kappa inf", "is above 80 % at beta <= 1", "mostly falls with d",
        "near 100 % for kappa inf", "near 100 % at beta 1", "60 to 70 %"})
    EXPECT_EQ(verdict_of(runs, words), Verdict::holds) << words;
  const Ordering falls = ordering_of(runs, "of attacks falls with beta");
  EXPECT_EQ(falls.product, "Tables 7 to 9");
  EXPECT_TRUE(contains(falls.expected, "cw, converged, kappa 0.01, d 0")) << falls.expected;
  EXPECT_EQ(falls.measured,
            "beta 1: 1.600 +- 0.016, beta inf: 0.700 +- 0.007; one seed (errors within the run)");
  EXPECT_TRUE(contains(ordering_of(runs, "about twice").measured, "ratio 2.00 +- 0.03; "));
}

TEST(AttackOrderings, TheOtherWayRound) {
  const auto rows = [](double l2, double auc) {
    return std::vector<AttackRow>{cw_row(0.01, 0.0, l2, auc, 0.4),
                                  cw_row(0.01, 66.0, 0.9 * l2, 0.9),
                                  cw_row(kInfinity, 0.0, 2.0 * l2, 0.7)};
  };
  const Attacked files({attacked(1.0, rows(0.28, 0.52)), attacked(16.0, rows(0.71, 0.5)),
                        attacked(-1.0, rows(0.5, 0.5))});
  const std::vector<RunRecord> runs = files.runs();
  for (const char* words :
       {"of attacks falls with beta", "about twice the feed-forward", "mostly grows with d",
        "far larger for kappa inf", "is above 80 % at beta <= 1", "mostly falls with d",
        "near 100 % for kappa inf", "near 100 % at beta 1"})
    EXPECT_EQ(verdict_of(runs, words), Verdict::does_not_hold) << words;
  EXPECT_EQ(verdict_of(runs, "60 to 70 %"), Verdict::does_not_hold)
      << "40 % is two errors of at most 4.9 % below 50 %";
}

TEST(AttackOrderings, EachProtocolApart) {
  std::vector<ModelAttackReport> models;
  for (const auto& [beta, converged, paper] :
       {std::tuple(1.0, 0.3, 0.9), std::tuple(4.0, 0.6, 0.5)})
    models.push_back(attacked(beta, {cw_row(0.01, 0.0, converged, 0.5),
                                     cw_row(0.01, 0.0, paper, 0.5, 0.98, CwProtocol::paper)}));
  const Attacked files(models);
  EXPECT_EQ(verdict_of(files.runs(), "falls with beta (above 0; cw, converged"),
            Verdict::does_not_hold);
  EXPECT_EQ(verdict_of(files.runs(), "falls with beta (above 0; cw, the paper's protocol"),
            Verdict::holds);
  EXPECT_EQ(
      verdict_of(files.runs(), "mostly grows with d (at more than half of the betas; cw, conv"),
      Verdict::not_measured)
      << "one d";
}

TEST(AttackOrderings, SizesOfFewImagesDoNotCount) {
  std::vector<ModelAttackReport> models = as_published();
  AttackRow& few = models[2].rows[0];  // beta inf
  few.reached = 95;
  few.success = {0.95, 0.02};
  const auto measured = [&] {
    return ordering_of(Attacked(models).runs(), "of attacks falls with beta");
  };
  EXPECT_EQ(measured().verdict, Verdict::holds);
  EXPECT_TRUE(
      contains(measured().measured, "; taken for their target: 95 of 100 images of beta inf"));
  few.reached = 30;
  few.success = {0.3, 0.05};
  EXPECT_EQ(measured().verdict, Verdict::not_measured);
  EXPECT_TRUE(contains(measured().measured, "30 of 100 images of beta inf, too few"))
      << measured().measured;
}

TEST(AttackOrderings, PathsHaveTwoStages) {
  Attacked files(as_published());
  const auto with_paths = [&](int64_t last) {
    nlohmann::json file = files.json();
    for (size_t i = 0; i < 4; ++i)  // beta 0 does not count
      file["models"][i]["traces"] = {{"images", 10},
                                     {"crossed_then_shrank", i == 0   ? 0
                                                             : i == 3 ? last
                                                                      : 10}};
    files.write(file);
    return ordering_of(files.runs(), "attacks first cross");
  };
  EXPECT_EQ(with_paths(8).verdict, Verdict::holds);
  EXPECT_EQ(with_paths(8).measured,
            "beta 1: 10 of 10 images, beta inf: 10 of 10 images, resnet-small: 8 of 10 images");
  EXPECT_EQ(with_paths(7).verdict, Verdict::does_not_hold);
}

}  // namespace
}  // namespace pal
