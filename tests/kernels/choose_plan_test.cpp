// How problems get their algorithms, by a library whose algorithms' times are written down.
#include "kernels/library/choose_plan.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "tests/support/environment.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::Environment;
using testing::TemporaryFolder;

struct FakePlan {
  std::string text;
  double time = 1.0;
  bool works = true;
  const std::string& name() const { return text; }
};

/// Notes what is asked of it; "a result" is what a product adds to.
class FakeLibrary {
 public:
  using Plan = FakePlan;

  explicit FakeLibrary(std::string problem, std::vector<FakePlan> plans)
      : problem_(std::move(problem)), plans_(std::move(plans)) {}

  std::string device() const { return "gpu of choose_plan_test"; }
  std::string problem() const { return problem_; }
  std::string why() const { return "refused"; }
  void each_plan(const std::optional<std::string>& only,
                 const std::function<bool(FakePlan)>& visit) {
    for (const FakePlan& plan : plans_) {
      if (only && plan.text != *only) continue;
      ++made;
      if (making_takes.count() > 0) std::this_thread::sleep_for(making_takes);
      if (visit(plan)) return;
    }
  }
  bool run(const FakePlan& plan) {
    results += plan.works ? 1 : 0;
    return plan.works;
  }
  bool rehearse(const FakePlan& plan) {
    if (plan.text == "greedy") fail(ErrorKind::environment, "out of memory");
    if (plan.text == "broken") fail(ErrorKind::failure, "the device is gone");
    return plan.works;
  }
  double milliseconds(const FakePlan& plan, int runs) {
    timed[plan.text] += runs;
    return plan.time;
  }

  int made = 0;
  int results = 0;  ///< how often the result was computed or added to
  std::map<std::string, int> timed;
  std::chrono::milliseconds making_takes{0};

 private:
  std::string problem_;
  std::vector<FakePlan> plans_;
};

/// The plan's name, or "" for none.
std::string chosen(FakeLibrary& library, bool measure, const MeasuringLimits& limits = {}) {
  const auto plan = choose_plan(library, measure, limits);
  return plan ? plan->text : "";
}

TEST(ChoosePlan, TakesTheFirstThatWorksUnlessItMeasures) {
  FakeLibrary library("first", {{"refused", 0.1, false}, {"slow", 3.0}, {"fast", 1.0}});
  EXPECT_EQ(chosen(library, false), "slow");
  EXPECT_EQ(library.made, 2);
  EXPECT_EQ(library.results, 1);
  EXPECT_TRUE(library.timed.empty());
  EXPECT_EQ(chosen_algorithm(library.device(), "first"), std::nullopt);
  FakeLibrary none("none", {{"refused", 0.1, false}});
  EXPECT_EQ(chosen(none, false), "");
  EXPECT_EQ(chosen(none, true), "");
}

TEST(ChoosePlan, TakesTheFastestAndAddsToTheResultOnce) {
  const TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path());
  FakeLibrary library("fastest", {{"slow", 3.0},
                                  {"greedy", 0.1},
                                  {"refused", 0.1, false},
                                  {"fast", 1.0},
                                  {"nearly", 1.4},
                                  {"hopeless", 9.0}});
  EXPECT_EQ(chosen(library, true), "fast");
  EXPECT_EQ(library.results, 1);
  EXPECT_EQ(library.timed["nearly"], library.timed["fast"]);
  EXPECT_EQ(library.timed["hopeless"], 1);
  EXPECT_EQ(chosen_algorithm(library.device(), "fastest"), "fast");
  EXPECT_EQ(read_choices(choices_path(library.device())), (AlgorithmChoices{{"fastest", "fast"}}));
  // Chosen is chosen, in this process and in others.
  FakeLibrary again("fastest", {{"slow", 3.0}, {"faster", 0.1}, {"fast", 1.0}});
  EXPECT_EQ(chosen(again, true), "fast");
  EXPECT_TRUE(again.timed.empty());
  EXPECT_EQ(again.results, 1);
  FakeLibrary broken("broken", {{"slow", 3.0}, {"broken", 1.0}});
  testing::expect_error(ErrorKind::failure, "the device is gone", [&] { chosen(broken, true); });
}

TEST(ChoosePlan, MeasuresNoLongerThanItIsWorth) {
  const TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path());
  std::vector<FakePlan> plans;
  for (int i = 0; i < 99; ++i) plans.push_back({std::to_string(i), 99.0 - i});
  FakeLibrary few("few", plans);
  EXPECT_EQ(chosen(few, true, {.plans = 7, .seconds = 1e9}), "6");
  EXPECT_EQ(few.made, 7);
  FakeLibrary slow("slow", plans);
  slow.making_takes = std::chrono::milliseconds(5);
  EXPECT_NE(chosen(slow, true, {.plans = 99, .seconds = 0.02}), "98");
  EXPECT_LE(slow.made, 5);
  // However late it is, something must be found.
  FakeLibrary late("late", {{"refused", 1.0, false}, {"other", 1.0, false}, {"good", 1.0}});
  EXPECT_EQ(chosen(late, true, {.seconds = 0.0}), "good");
}

TEST(ChoosePlan, KeepsToWhatWasImportedOrMeasuredBefore) {
  const TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path());
  const std::vector<FakePlan> plans = {{"one", 3.0}, {"two", 2.0}, {"three", 1.0}};
  FakeLibrary imported("imported", plans);
  choose_algorithm(imported.device(), "imported", "two");
  for (const bool measure : {false, true}) {
    EXPECT_EQ(chosen(imported, measure), "two");
    EXPECT_TRUE(imported.timed.empty());
  }
  FakeLibrary before("before", plans);
  save_choice(choices_path(before.device()), "before", "two");
  // The file is for runs that measure.
  EXPECT_EQ(chosen(before, false), "one");
  EXPECT_EQ(chosen(before, true), "two");
  EXPECT_TRUE(before.timed.empty());
  EXPECT_EQ(chosen_algorithm(before.device(), "before"), "two");
}

TEST(ChoosePlan, ChoosesAnewWhatIsNotOffered) {
  const TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path());
  const std::vector<FakePlan> plans = {{"one", 3.0}, {"refused", 0.1, false}, {"three", 1.0}};
  for (const char* gone : {"a name of old", "refused"}) {
    FakeLibrary library(std::string("gone: ") + gone, plans);
    choose_algorithm(library.device(), library.problem(), gone);
    EXPECT_EQ(chosen(library, false), "one");
    EXPECT_EQ(chosen(library, true), "three");
    EXPECT_EQ(chosen_algorithm(library.device(), library.problem()), "three");
  }
}

}  // namespace
}  // namespace pal
