#include "experiments/explain/faithfulness.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/explain/explained_images.h"
#include "experiments/trust/estimate.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr int64_t kShareOfTable = 6;

std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (size_t i = first; i < last; ++i)
      ranks[order[i]] = 0.5 * static_cast<double>(first + last - 1);
    first = last;
  }
  return ranks;
}

/// An image under study: its pair of classes, its map, and the orders of its cells.
struct Subject {
  int32_t a, b;
  std::vector<double> evidence;
  std::vector<std::vector<int64_t>> orders;  // as kCellOrders
};

class Study {
 public:
  Study(const LoadedModel& loaded, const std::string& path, const TestImages& from,
        const FaithfulnessSpec& spec)
      : flow_(flow_of(loaded, path)),
        input_(loaded.input),
        seed_(spec.seed),
        head_(flow_.head().means(), flow_.dims(), flow_.head().spec().mean_dims),
        images_(network_images(*from.set, loaded.input, spec.indices, from.transform)),
        side_(head_.side()),
        cell_(images_.size(1) / side_) {
    expect(head_.classes() >= 2, "check: needs at least 2 classes, and {} has {}", path,
           head_.classes());
    expect(cell_ * side_ == images_.size(1), "check: {} cells do not divide images of {} pixels",
           side_, images_.size(1));
    const auto maps = position_maps(flow_, head_, images_, Share::even);
    for (size_t i = 0; i < maps.size(); ++i) {
      Subject subject{maps[i].order()[0], maps[i].order()[1], {}, {}};
      subject.evidence = maps[i].evidence(subject.a, subject.b);
      for (const CellOrder order : kCellOrders)
        subject.orders.push_back(cells_in(order, subject, static_cast<int64_t>(i)));
      subjects_.push_back(std::move(subject));
    }
  }

  int64_t side() const { return side_; }
  int64_t cell() const { return cell_; }
  int64_t cells() const { return side_ * side_; }

  /// Mean log-odds of the images with their first `count` cells filled; insertion: with all others.
  double odds_after(CellOrder order, int64_t count, Fill fill, bool insertion) {
    const Tensor changed = images_.clone();
    const Tensor filling = filling_of(fill);
    for (size_t i = 0; i < subjects_.size(); ++i) {
      const auto& cells = subjects_[i].orders[static_cast<size_t>(order)];
      for (int64_t k = 0; k < cells_of_image(); ++k)
        if ((k < count) != insertion)
          copy_cell(filling, changed, static_cast<int64_t>(i), cells[static_cast<size_t>(k)]);
    }
    return mean_odds(changed);
  }

  /// Rank correlations of the maps with those of another model's head or network.
  Faithfulness::Control compare(const std::string& what, IbInn& other, bool shuffled) const {
    const PositionHead head(other.head().means(), other.dims(), other.head().spec().mean_dims);
    const auto maps = position_maps(other, head, images_, Share::even);
    std::vector<double> found;
    for (size_t i = 0; i < maps.size(); ++i) {
      int32_t a = subjects_[i].a, b = subjects_[i].b;
      if (shuffled) std::tie(a, b) = other_pair(static_cast<int64_t>(i), a, b);
      found.push_back(spearman(subjects_[i].evidence, maps[i].evidence(a, b)));
    }
    const Estimate mean = mean_of(found, [](double value) { return value; });
    return {what, mean.value, mean.error};
  }
  IbInn& flow() const { return flow_; }

 private:
  int64_t cells_of_image() const { return side_ * side_; }

  /// Two other classes for an image: what a map is like whose means belong to them.
  std::pair<int32_t, int32_t> other_pair(int64_t image, int32_t a, int32_t b) const {
    const Philox random(seed_, RandomPurpose::monitor, static_cast<uint64_t>(image));
    const auto classes = static_cast<uint64_t>(head_.classes());
    if (classes < 4) return {b, a};
    uint32_t draw = 0;
    const auto another = [&](std::initializer_list<int32_t> taken) {
      while (true) {
        const auto y = static_cast<int32_t>(random.below(draw++, classes));
        if (std::ranges::find(taken, y) == taken.end()) return y;
      }
    };
    const int32_t first = another({a, b});
    return {first, another({a, b, first})};
  }

  std::vector<int64_t> cells_in(CellOrder order, const Subject& subject, int64_t image) const {
    std::vector<double> values = subject.evidence;
    if (order == CellOrder::opposing)
      for (double& v : values) v = -v;
    if (order == CellOrder::bright)
      for (int64_t p = 0; p < cells_of_image(); ++p)
        values[static_cast<size_t>(p)] = brightness(image, p);
    if (order == CellOrder::random) {
      const Philox random(seed_, RandomPurpose::shuffle, static_cast<uint64_t>(image));
      for (int64_t p = 0; p < cells_of_image(); ++p)
        values[static_cast<size_t>(p)] = random.uniform4(static_cast<uint32_t>(p))[0];
    }
    return highest_first(values);
  }

  template <typename Visit>
  void visit_cell(int64_t p, const Visit& visit) const {
    for (int64_t y = 0; y < cell_; ++y)
      for (int64_t x = 0; x < cell_; ++x) visit(p / side_ * cell_ + y, p % side_ * cell_ + x);
  }
  float* pixel(const Tensor& t, int64_t image, int64_t y, int64_t x) const {
    return t.data<float>() + ((image * t.size(1) + y) * t.size(2) + x) * t.channels();
  }
  double brightness(int64_t image, int64_t p) const {
    double sum = 0.0;
    visit_cell(p, [&](int64_t y, int64_t x) {
      const float* const values = pixel(images_, image, y, x);
      sum += std::accumulate(values, values + images_.channels(), 0.0);
    });
    return sum;
  }
  void copy_cell(const Tensor& from, const Tensor& to, int64_t image, int64_t p) const {
    visit_cell(p, [&](int64_t y, int64_t x) {
      std::copy_n(pixel(from, image, y, x), to.channels(), pixel(to, image, y, x));
    });
  }

  /// The images as they are once every cell is filled.
  const Tensor& filling_of(Fill fill) {
    Tensor& filling = fillings_[static_cast<size_t>(fill)];
    if (filling.defined()) return filling;
    filling = Tensor::empty(images_.shape());
    const int64_t size = images_.size(1), channels = images_.channels();
    for (int64_t image = 0; image < images_.size(0); ++image)
      for (int64_t c = 0; c < channels; ++c) {
        const auto value = [&](int64_t y, int64_t x) -> double {
          return pixel(images_, image, y, x)[c];
        };
        const double zero = -static_cast<double>(input_.mean[static_cast<size_t>(c)]) /
                            static_cast<double>(input_.std[static_cast<size_t>(c)]);
        const auto mean_of = [&](int64_t top, int64_t left, int64_t bottom, int64_t right) {
          double sum = 0.0;
          for (int64_t y = top; y < bottom; ++y)
            for (int64_t x = left; x < right; ++x) sum += value(y, x);
          return sum / static_cast<double>((bottom - top) * (right - left));
        };
        const double mean = mean_of(0, 0, size, size);
        for (int64_t y = 0; y < size; ++y)
          for (int64_t x = 0; x < size; ++x) {
            double filled = fill == Fill::zero ? zero : mean;
            if (fill == Fill::blur)
              filled = mean_of(std::max<int64_t>(0, y - cell_), std::max<int64_t>(0, x - cell_),
                               std::min(size, y + cell_ + 1), std::min(size, x + cell_ + 1));
            pixel(filling, image, y, x)[c] = static_cast<float>(filled);
          }
      }
    return filling;
  }

  double mean_odds(const Tensor& images) const {
    const Tensor z = encode(flow_, images).to(flow_.device(), Tag::data);
    const Tensor scores = flow_.head().scores(z).to(Device());
    double sum = 0.0;
    for (size_t i = 0; i < subjects_.size(); ++i) {
      const float* const row = scores.data<float>() + static_cast<int64_t>(i) * scores.pitch();
      sum += static_cast<double>(row[subjects_[i].a]) - static_cast<double>(row[subjects_[i].b]);
    }
    return sum / static_cast<double>(subjects_.size());
  }

  IbInn& flow_;
  const InputSpec& input_;
  uint64_t seed_;
  PositionHead head_;
  Tensor images_;  // on the CPU
  int64_t side_, cell_;
  std::vector<Subject> subjects_;
  Tensor fillings_[3];
};

/// Places in the chain of the blocks that have parameters.
std::vector<int> learned_blocks(const IbInn& flow) {
  std::vector<int> places;
  for (int b = 0; b < flow.chain().size(); ++b)
    if (std::ranges::any_of(flow.state().parameters, [&](const Parameter* p) {
          return p->name.starts_with(fmt::format("blocks.{}.", b));
        }))
      places.push_back(b);
  return places;
}

/// The model with the values of every parameter from a block on in random order: as far from what
/// was learned as numbers of that size can be. (Drawn anew, blocks would be the identity, as
/// training begins with.)
LoadedModel shuffled_from(const std::string& path, int block, uint64_t seed) {
  LoadedModel loaded = load_model(path);
  const IbInn& flow = flow_of(loaded, path);
  for (Parameter* const parameter : flow.state().parameters) {
    const std::string& name = parameter->name;
    bool later = false;
    for (int b = block; b < flow.chain().size(); ++b)
      later = later || name.starts_with(fmt::format("blocks.{}.", b));
    if (!later) continue;
    const Philox random(seed, RandomPurpose::shuffle, random_stream_of(name));
    auto* const values = parameter->value.data<float>();
    for (int64_t i = parameter->value.numel() - 1; i > 0; --i)
      std::swap(values[i],
                values[random.below(static_cast<uint32_t>(i), static_cast<uint64_t>(i + 1))]);
  }
  loaded.model->refresh();
  return loaded;
}

}  // namespace

const char* name_of(Fill fill) {
  return fill == Fill::zero ? "zero" : fill == Fill::mean ? "mean" : "blur";
}

const char* name_of(CellOrder order) {
  switch (order) {
    case CellOrder::supporting:
      return "most supporting first";
    case CellOrder::random:
      return "random";
    case CellOrder::bright:
      return "brightest first";
    case CellOrder::opposing:
      break;
  }
  return "least supporting first";
}

std::vector<int64_t> highest_first(const std::vector<double>& values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  return order;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  expect(a.size() == b.size() && a.size() > 1, "spearman: lists of {} and {}", a.size(), b.size());
  for (const auto* list : {&a, &b})
    if (!std::ranges::all_of(*list, [](double v) { return std::isfinite(v); }))
      fail(ErrorKind::numerics, "spearman: a value is not finite");
  const std::vector<double> x = ranks_of(a), y = ranks_of(b);
  const double mean = 0.5 * static_cast<double>(a.size() - 1);
  double xy = 0.0, xx = 0.0, yy = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0.0 && yy > 0.0 ? xy / std::sqrt(xx * yy) : 0.0;
}

Faithfulness check_faithfulness(const LoadedModel& loaded, const std::string& path,
                                const TestImages& from, const FaithfulnessSpec& spec) {
  Study study(loaded, path, from, spec);
  Faithfulness found;
  found.images = static_cast<int64_t>(spec.indices.size());
  found.side = study.side();
  found.cell = study.cell();
  found.filled = std::max<int64_t>(1, study.cells() / kShareOfTable);
  found.before = study.odds_after(CellOrder::supporting, 0, spec.fill, false);
  for (const bool insertion : {false, true})
    for (const CellOrder order : kCellOrders) {
      if (insertion && order != CellOrder::supporting && order != CellOrder::random) continue;
      FillCurve curve{order, insertion, {}};
      for (int64_t k = 0; k <= study.cells(); ++k)
        curve.odds.push_back(study.odds_after(order, k, spec.fill, insertion));
      found.curves.push_back(std::move(curve));
    }
  for (const Fill fill : {Fill::zero, Fill::mean, Fill::blur})
    for (const CellOrder order : kCellOrders)
      found.left.push_back(
          {fill, order, study.odds_after(order, found.filled, fill, false) / found.before});
  found.controls.push_back(study.compare("class means of two other classes", study.flow(), true));
  const std::vector<int> blocks = learned_blocks(study.flow());
  for (const size_t count : {size_t{1}, (blocks.size() + 1) / 2, blocks.size()}) {
    const LoadedModel other = shuffled_from(path, blocks[blocks.size() - count], spec.seed);
    other.model->to(loaded.model->device());
    found.controls.push_back(
        study.compare(fmt::format("last {} of {} blocks, weights shuffled", count, blocks.size()),
                      flow_of(other, path), false));
  }
  return found;
}

}  // namespace pal
