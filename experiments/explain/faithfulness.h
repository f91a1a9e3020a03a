#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/sampling/test_images.h"
#include "layers/models/model_io.h"

// Do evidence maps mean anything? Cells of an image are filled in the order of their evidence, and
// the log-odds looked at again; and maps are compared with those of models that know nothing
// (experiments/measures/README.md, 13).
namespace pal {

/// What a cell is filled with.
enum class Fill : uint8_t {
  zero,  ///< level 0
  mean,  ///< the image's mean, by colour
  blur,  ///< the image, averaged over a window of two cells and a pixel
};
const char* name_of(Fill fill);

/// In which order cells are filled.
enum class CellOrder : uint8_t { supporting, random, bright, opposing };
inline constexpr CellOrder kCellOrders[] = {CellOrder::supporting, CellOrder::random,
                                            CellOrder::bright, CellOrder::opposing};
const char* name_of(CellOrder order);

/// The cells 0 to count - 1 in an order: the highest value first, equal ones by place.
std::vector<int64_t> highest_first(const std::vector<double>& values);

/// Spearman's rank correlation; ties share their mean rank. 0 where one list is constant.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

/// One cell after the other is filled, or (insertion) given back to a filled image.
struct FillCurve {
  CellOrder order;
  bool insertion = false;
  std::vector<double> odds;  ///< mean log-odds after 0, 1, ... cells, nats
};

struct FaithfulnessSpec {
  std::vector<int64_t> indices;  ///< images
  Fill fill = Fill::zero;        ///< of the curves
  uint64_t seed = 0;             ///< of random orders
};

struct Faithfulness {
  int64_t images = 0;
  int64_t side = 0;     ///< cells in a row
  int64_t cell = 0;     ///< pixels of a cell's side
  int64_t filled = 0;   ///< cells that the table is about: a sixth of all
  double before = 0.0;  ///< mean log-odds of the predicted class against the next, nats
  std::vector<FillCurve> curves;
  /// What is left of the mean log-odds once `filled` cells are, by fill and order.
  struct Left {
    Fill fill;
    CellOrder order;
    double share;
  };
  std::vector<Left> left;
  /// Mean rank correlation of a map with the same map of another model, and its standard error.
  struct Control {
    std::string what;
    double correlation;
    double error;
  };
  std::vector<Control> controls;
};

/// Looks at images of a flow. Throws usage if the network's map does not divide the image evenly, or
/// there are fewer than two classes.
Faithfulness check_faithfulness(const LoadedModel& loaded, const std::string& path,
                                const TestImages& from, const FaithfulnessSpec& spec);

}  // namespace pal
