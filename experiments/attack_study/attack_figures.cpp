#include "experiments/attack_study/attack_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "experiments/attack_study/attack_charts.h"
#include "experiments/attack_study/attack_sheet.h"
#include "experiments/attack_study/trajectory_figure.h"
#include "runtime/file.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// Attacks that stand side by side in a sheet and a chart: of a kind and protocol.
std::string family_of(const AttackSetting& setting) {
  return setting.kind == AttackKind::cw
             ? fmt::format("{}-{}", name_of(setting.kind), name_of(setting.protocol))
             : std::string(name_of(setting.kind));
}

/// A heading in the words of a sheet.
std::string heading_of(const AttackSetting& setting) {
  std::string text = setting.title();
  if (setting.kind == AttackKind::pgd || setting.kind == AttackKind::fgsm)
    text += fmt::format(", {}", name_of(setting.loss));
  return text;
}

std::vector<float> pixels_at(const Tensor& images, int64_t i) {
  const int64_t count = images.numel() / images.size(0);
  const float* const from = images.data<float>() + i * count;
  return {from, from + count};
}

/// What the model says of an image: "coat\n99 %".
std::string said(const AttackedModelStudy& model, double answer, double confidence) {
  if (answer < 0.0) return "no answer";
  return fmt::format("{}\n{:.0f} %", model.class_names.at(static_cast<size_t>(answer)),
                     100.0 * confidence);
}

/// A sheet of some images, a column for each run.
AttackSheet sheet_of(const AttackedModelStudy& model, const OriginalImages& originals,
                     const std::vector<const AttackRun*>& runs, int64_t first, int64_t count,
                     const std::string& headline) {
  AttackSheet sheet;
  sheet.headline = headline;
  sheet.height = originals.images.size(1);
  sheet.width = originals.images.size(2);
  sheet.channels = originals.images.size(3);
  for (const AttackRun* const run : runs) sheet.settings.push_back(heading_of(run->setting));
  for (int64_t i = first; i < first + count; ++i) {
    const auto at = static_cast<size_t>(i);
    SheetImage image;
    image.title = fmt::format("image {}", originals.index[at]);
    image.note = said(model, model.clean.answer[at], model.clean.confidence[at]);
    image.original = pixels_at(originals.images, i);
    for (const AttackRun* const run : runs) {
      const AttackCell& cell = run->cell;
      image.versions.push_back({pixels_at(cell.images, i),
                                said(model, cell.answer[at], cell.confidence[at]),
                                run->setting.bounded() && run->setting.norm == AttackNorm::linf
                                    ? fmt::format("Linf {:.3g}", cell.linf[at])
                                    : fmt::format("L2 {:.3g}", cell.l2[at])});
    }
    sheet.images.push_back(std::move(image));
  }
  return sheet;
}

void write_sheets(const fs::path& folder, const AttackStudy& study, int64_t most) {
  const int64_t count = std::min(most, study.originals.count());
  if (count == 0) return;
  for (const AttackedModelStudy& model : study.models) {
    std::map<std::string, std::vector<const AttackRun*>> families;
    for (const AttackRun& run : model.runs) families[family_of(run.setting)].push_back(&run);
    for (const auto& [family, runs] : families) {
      make_folders((folder / "sheets").string());
      write_png((folder / "sheets" / fmt::format("{}-{}.png", model.label, family)).string(),
                attack_sheet_image(sheet_of(model, study.originals, runs, 0, count,
                                            fmt::format("{}, {}", model.label, family))));
    }
  }
}

/// A measure of the rows of one attack over beta: a line for each kappa and d.
std::vector<AttackLine> lines_of(const AttackReport& report, const std::string& family,
                                 AttackMeasure measure) {
  const auto value_of = [&](const AttackRow& row) -> Estimate {
    switch (measure) {
      case AttackMeasure::l2:
        return row.l2_reached;
      case AttackMeasure::corruption:
        return row.corruption;
      case AttackMeasure::uncertainty:
        return {row.entropy, 0.0};
      case AttackMeasure::detection:
        break;
    }
    return row.auc_two_tailed.value_or(Estimate{std::numeric_limits<double>::quiet_NaN(), 0.0});
  };
  std::vector<const ModelAttackReport*> flows;
  for (const ModelAttackReport& model : report.models)
    // The classes of beta 0 mean nothing, but its density does.
    if (model.has_density && model.beta &&
        (*model.beta != 0.0 || measure == AttackMeasure::detection))
      flows.push_back(&model);
  std::ranges::stable_sort(flows, {}, [](const ModelAttackReport* m) { return *m->beta; });
  std::vector<AttackLine> lines;
  for (const ModelAttackReport& model : report.models)
    for (const AttackRow& row : model.rows) {
      if (family_of(row.setting) != family) continue;
      const bool known = std::ranges::any_of(lines, [&](const AttackLine& line) {
        return line.kappa == row.setting.kappa && line.d == row.setting.d;
      });
      if (known) continue;
      AttackLine line;
      line.kappa = row.setting.kappa;
      line.d = row.setting.d;
      for (const ModelAttackReport* const flow : flows)
        for (const AttackRow& other : flow->rows)
          if (family_of(other.setting) == family && other.setting.kappa == line.kappa &&
              other.setting.d == line.d && (line.beta.empty() || line.beta.back() != *flow->beta)) {
            line.beta.push_back(*flow->beta);
            line.value.push_back(value_of(other).value);
            if (measure != AttackMeasure::uncertainty) line.error.push_back(value_of(other).error);
          }
      for (const ModelAttackReport& net : report.models)
        if (!net.has_density && measure != AttackMeasure::detection)
          for (const AttackRow& other : net.rows)
            if (family_of(other.setting) == family && other.setting.kappa == line.kappa &&
                other.setting.d == line.d)
              line.feed_forward = value_of(other).value;
      if (line.beta.size() > 1) lines.push_back(std::move(line));
    }
  return lines;
}

void write_beta_charts(const fs::path& folder, const AttackReport& report) {
  std::vector<std::string> families;
  for (const ModelAttackReport& model : report.models)
    for (const AttackRow& row : model.rows)
      if (!row.setting.bounded() &&
          std::ranges::find(families, family_of(row.setting)) == families.end())
        families.push_back(family_of(row.setting));
  struct Picture {
    const char* name;
    AttackMeasure measure;
    const char* title;
  };
  constexpr Picture kPictures[] = {
      {"fig7", AttackMeasure::l2, "How far an attack must go"},
      {"fig23-detection", AttackMeasure::detection, "How well attacked images are told"},
      {"fig23-uncertainty", AttackMeasure::uncertainty, "How undecided answers are under attack"}};
  for (const std::string& family : families)
    for (const Picture& picture : kPictures) {
      const std::vector<AttackLine> lines = lines_of(report, family, picture.measure);
      if (!lines.empty())
        write_atomic(
            (folder / fmt::format("{}-{}.svg", picture.name, family)).string(),
            attack_beta_svg(fmt::format("{} ({})", picture.title, family), picture.measure, lines));
    }
}

void write_curve(const fs::path& folder, const AttackReport& report) {
  RobustChart chart;
  chart.title = fmt::format("Robust accuracy, {} images of {}", report.images, report.dataset);
  chart.norm = report.norm;
  chart.level = kAttackFlag;
  for (const ModelAttackReport& model : report.models) {
    RobustCurve curve;
    curve.name = model.label;
    for (const RobustPoint& point : model.curve) {
      curve.epsilon.push_back(point.eps);
      curve.accuracy.push_back(point.accuracy);
      const auto& noticed =
          point.noticed_familiarity ? point.noticed_familiarity : point.noticed_density;
      if (noticed) curve.unflagged.push_back(1.0 - *noticed);
    }
    if (!curve.epsilon.empty()) chart.curves.push_back(std::move(curve));
  }
  if (!chart.curves.empty())
    write_atomic((folder / "robust_curve.svg").string(), robust_curve_svg(chart));
}

void write_trace(const fs::path& folder, const AttackedModelStudy& model,
                 const OriginalImages& originals, const AttackTrace& trace, const AttackRun& run) {
  const auto at = static_cast<size_t>(trace.image);
  const std::string name = fmt::format("{:06d}", originals.index[at]);
  const std::string what = fmt::format(
      "image {}: {} to {}", originals.index[at],
      model.class_names.at(static_cast<size_t>(originals.label[at])),
      run.setting.targeted ? model.class_names.at(static_cast<size_t>(originals.target[at]))
                           : std::string("any other"));
  const std::vector<AttackTrajectory> ways = {trace.trajectory};
  write_atomic((folder / (name + ".csv")).string(), trace_csv(ways));
  for (const auto& [number, suffix] : {std::pair(TraceNumber::objective, "objective"),
                                       {TraceNumber::squared_distance, "distance"},
                                       {TraceNumber::log_density, "density"}}) {
    const std::string svg = trace_svg(what, ways, number);
    if (!svg.empty()) write_atomic((folder / fmt::format("{}-{}.svg", name, suffix)).string(), svg);
  }
  write_png((folder / (name + ".png")).string(),
            attack_sheet_image(sheet_of(model, originals, {&run}, trace.image, 1, what)));
  const auto place = [&](int64_t of) {
    return static_cast<size_t>(std::ranges::find(trace.classes, of) - trace.classes.begin());
  };
  if (trace.classes.empty() || !run.setting.targeted) return;
  TrajectoryFigure figure;
  figure.title = what;
  for (const int64_t y : trace.classes)
    figure.names.push_back(model.class_names.at(static_cast<size_t>(y)));
  figure.means = trace.means;
  figure.label = place(originals.label[at]);
  figure.target = place(originals.target[at]);
  figure.kappa = run.setting.kappa;
  figure.decides = trace.decides;
  figure.trajectories = ways;
  write_atomic((folder / (name + ".svg")).string(), trajectory_svg(figure));
}

void write_traces(const fs::path& folder, const AttackStudy& study) {
  for (const AttackedModelStudy& model : study.models) {
    if (model.traces.empty()) continue;
    const auto run = std::ranges::find_if(
        model.runs, [](const AttackRun& each) { return each.setting.kind == AttackKind::cw; });
    const fs::path own = folder / "traces" / model.label;
    make_folders(own.string());
    for (const AttackTrace& trace : model.traces)
      write_trace(own, model, study.originals, trace, *run);
  }
}

}  // namespace

void write_attack_figures(const AttackOptions& options, const AttackStudy& study,
                          const AttackReport& report) {
  const fs::path folder(options.output);
  write_sheets(folder, study, options.sheet);
  write_beta_charts(folder, report);
  write_curve(folder, report);
  write_traces(folder, study);
}

}  // namespace pal
