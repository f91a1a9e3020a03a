#include "experiments/explain/plane_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "experiments/explain/doubles.h"
#include "experiments/explain/explained_images.h"
#include "experiments/explain/plane_chart.h"
#include "experiments/explain/plane_training.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/sampling.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {
namespace {

constexpr int64_t kUsualClasses = 10;
/// Points that a drawing shows; the CSV has all.
constexpr size_t kDrawn = 1000;

/// A test image in the plane.
struct Placed {
  int64_t image;
  int32_t label;  ///< by place in the list of classes
  PlanePoint at;
};

/// Test images, the classes that count, and answers by several heads.
class PlaneTest {
 public:
  PlaneTest(const ExplainOptions& o, const LoadedModel& loaded, const std::vector<int64_t>& classes)
      : loaded_(loaded), classes_(classes), from_(open_test_images(o.data, o.checkpoint, loaded)) {
    const ClassMatch match = match_classes(loaded, o.checkpoint, from_.set->info(), false);
    for (const int64_t i : explained_indices(o, from_)) {
      const auto found = std::ranges::find(classes_, match.model_class(from_.set->label(i)));
      if (found == classes_.end()) continue;
      indices_.push_back(i);
      labels_.push_back(static_cast<int32_t>(found - classes_.begin()));
    }
    expect(!indices_.empty(), "plane: none of the test images is of these classes");
    if (const size_t named = o.images.size(); named > indices_.size())
      log_info("--images: {} of {} are of other classes and left out", named - indices_.size(),
               named);
  }

  const TestImages& from() const { return from_; }
  int64_t count() const { return static_cast<int64_t>(indices_.size()); }

  /// The share of images whose best class, of those in the plane, is the right one by the flow's
  /// own means.
  double accuracy_of(IbInn& flow) const {
    int64_t right = 0;
    encode_in_parts(flow, loaded_.input, from_, indices_, [&](int64_t first, const Tensor& z) {
      const std::vector<double> scores =
          to_doubles(flow.head().scores(z.to(flow.device(), Tag::data)));
      const auto all = static_cast<int64_t>(scores.size()) / z.size(0);
      for (int64_t i = 0; i < z.size(0); ++i) {
        const auto best = std::ranges::max_element(
            classes_, {}, [&](int64_t y) { return scores[static_cast<size_t>(i * all + y)]; });
        if (best - classes_.begin() == labels_[static_cast<size_t>(first + i)]) ++right;
      }
    });
    return static_cast<double>(right) / static_cast<double>(count());
  }

  /// Where the images lie.
  std::vector<Placed> place(IbInn& flow, const ClassPlane& plane) const {
    std::vector<Placed> placed;
    encode_in_parts(flow, loaded_.input, from_, indices_, [&](int64_t first, const Tensor& z) {
      const std::vector<double> values = to_doubles(z);
      for (int64_t i = 0; i < z.size(0); ++i)
        placed.push_back({indices_[static_cast<size_t>(first + i)],
                          labels_[static_cast<size_t>(first + i)],
                          plane.project(&values[static_cast<size_t>(i * plane.dims())])});
    });
    return placed;
  }

 private:
  const LoadedModel& loaded_;
  const std::vector<int64_t>& classes_;
  TestImages from_;
  std::vector<int64_t> indices_;
  std::vector<int32_t> labels_;
};

double accuracy_in(const ClassPlane& plane, const std::vector<Placed>& placed) {
  const auto right = std::ranges::count_if(
      placed, [&](const Placed& p) { return plane.nearest(p.at) == p.label; });
  return static_cast<double>(right) / static_cast<double>(placed.size());
}

std::string draw(const ClassPlane& plane, const std::vector<Placed>& placed,
                 const std::vector<std::string>& names, const std::string& title) {
  // Images come from each class in turn, so the first ones are spread over the classes.
  const size_t drawn = std::min(kDrawn, placed.size());
  // Single points far away would make all others small.
  std::array<std::vector<double>, 2> along;
  for (const Placed& p : placed)
    for (size_t k = 0; k < 2; ++k) along[k].push_back(p.at[k]);
  PlaneWindow window;
  for (const PlanePoint& place : plane.places()) window.take(place);
  for (size_t k = 0; k < 2; ++k) {
    std::ranges::sort(along[k]);
    const size_t cut = along[k].size() / 200;
    window.low[k] = std::min(window.low[k], along[k][cut]);
    window.high[k] = std::max(window.high[k], along[k][along[k].size() - 1 - cut]);
  }
  window.widen(0.06);
  Chart chart = plane_chart(title, window);
  for (size_t y = 0; y < names.size(); ++y) {
    Series series{.name = names[y], .line = false};
    for (size_t i = 0; i < drawn; ++i) {
      const PlanePoint& at = placed[i].at;
      if (placed[i].label != static_cast<int32_t>(y)) continue;
      series.x.push_back(at[0]);
      series.y.push_back(at[1]);
    }
    chart.series.push_back(std::move(series));
  }
  const PlaneWindow far = window.surroundings();
  chart.series.push_back(
      border_series("border of two classes", cell_borders(plane.places(), far.low, far.high)));
  Series means{
      .name = "class means", .labels = names, .line = false, .cross = true, .color = "#000"};
  for (const PlanePoint& place : plane.places()) {
    means.x.push_back(place[0]);
    means.y.push_back(place[1]);
  }
  chart.series.push_back(std::move(means));
  return chart.svg();
}

std::vector<int64_t> classes_of(const ExplainOptions& o, const LoadedModel& loaded) {
  std::vector<int64_t> classes = named_classes(loaded, o.classes, "--class");
  if (o.classes.empty() && static_cast<int64_t>(classes.size()) > kUsualClasses)
    classes.resize(kUsualClasses);
  expect(classes.size() >= 3, "plane: needs at least 3 classes, got {}", classes.size());
  return classes;
}

}  // namespace

Figure plane_figure(const ExplainOptions& o, const LoadedModel& loaded,
                    const std::string& model_path) {
  IbInn& flow = flow_of(loaded, o.checkpoint);
  const std::vector<int64_t> classes = classes_of(o, loaded);
  const PlaneTest test(o, loaded, classes);
  const TrainingImages training = open_training_images(o.data, o.checkpoint, loaded);
  ProgressLine line(ProgressMode::automatic, o.run.quiet);
  const JobClock clock;
  PlaneSpec spec;
  spec.classes = classes;
  spec.whole_network = o.whole_network;
  spec.epochs = o.epochs;
  if (o.beta >= 0.0) spec.beta = o.beta;
  if (o.learning_rate >= 0.0) spec.learning_rate = o.learning_rate;
  if (o.learning_rate_means >= 0.0) spec.learning_rate_means = o.learning_rate_means;
  spec.batch_size = o.batch_size;
  spec.seed = o.run.seed;
  spec.progress = [&](int64_t done, int64_t count, double loss) {
    line.show(fmt::format("{}, loss {:.3f}", clock.text("plane", done, count, "steps"), loss));
  };
  const double before = test.accuracy_of(flow);
  const PlaneModel made = train_in_plane(loaded, o.checkpoint, training, spec);
  line.clear();
  const double start = accuracy_in(made.start, test.place(flow, made.start));
  const std::vector<Placed> placed = test.place(*made.model, made.plane);
  const double after = accuracy_in(made.plane, placed);
  save_checkpoint(model_path, plane_checkpoint(made, loaded));
  const auto& names = made.input.class_names;
  Figure figure;
  figure.csv = "image,name,label,along,up,predicted\n";
  for (const Placed& p : placed)
    fmt::format_to(std::back_inserter(figure.csv), "{},{},{},{:.9g},{:.9g},{}\n", p.image,
                   csv_field(test.from().set->item_name(p.image)),
                   csv_field(names[static_cast<size_t>(p.label)]), p.at[0], p.at[1],
                   csv_field(names[static_cast<size_t>(made.plane.nearest(p.at))]));
  std::string title = fmt::format("{} classes in a plane: {:.1f} % of {} test images right",
                                  names.size(), 100.0 * after, grouped(test.count()));
  if (placed.size() > kDrawn) title += fmt::format(", {} drawn", grouped(kDrawn));
  figure.svg = draw(made.plane, placed, names, title);
  TextTable table({fmt::format("of {} test images", grouped(test.count())), "top-1 %"});
  const auto percent = [](double share) { return fmt::format("{:.2f}", 100.0 * share); };
  table.add({"class means as they were", percent(before)});
  table.add({fmt::format("moved into the nearest plane ({:.0f} % of their variance)",
                         100.0 * made.start.share()),
             percent(start)});
  table.add({fmt::format("{} fine-tuned, {} steps",
                         o.whole_network ? "network and plane" : "plane alone", made.steps),
             percent(after)});
  figure.lines.push_back(table.text());
  figure.lines.push_back(fmt::format("the model with its plane is in {}", model_path));
  return figure;
}

}  // namespace pal
