#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/measures/sampling.h"

namespace pal {

/// What samples are drawn.
struct SampleRequest {
  std::vector<int64_t> classes;
  int64_t count = 0;  ///< of all classes together; the first ones get one more if it leaves a rest
  double temperature = 0.7;
  uint64_t seed = 0;
  std::vector<ClassSpread> spreads;  ///< of `classes`
};

/// What a judge takes the samples of one class for.
struct ClassVerdict {
  int64_t y = 0;
  int64_t samples = 0;
  int64_t as_asked = 0;  ///< taken for class y
  int64_t rival = -1;    ///< the other class that most were taken for; -1: none was
  int64_t taken_for_rival = 0;
};

/// Draws samples of a flow, rounds them to 8-bit pictures and asks another model, whose classes
/// must have the same names, which class they show; one verdict per class of the request. How good
/// a generator is by a classifier that it never saw ("classification accuracy score" the other way
/// round: Ravuri and Vinyals 2019; it says nothing about how varied samples are). Throws usage if
/// the classes or the sizes of the two models differ.
std::vector<ClassVerdict> judge_samples(const IbInn& flow, const InputSpec& input,
                                        LoadedModel& judge, const std::string& judge_path,
                                        const SampleRequest& request);

}  // namespace pal
