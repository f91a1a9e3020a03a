#include "experiments/training/run_state.h"

#include <gtest/gtest.h>

#include "runtime/error.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(RunState, ComesBackFromACheckpointAsItWas) {
  RunState state;
  state.progress.step = 7;
  state.plateau = {-0.25, true, 3, 1, false};
  state.has_best = true;
  state.best_ce = 0.1;
  state.best_loss_x = -1.0 / 3.0;
  state.best_ce_weights = Weights::ema;
  state.finetune_from = 6;
  state.validation_due = true;
  state.guard.not_finite_in_row = 2;
  state.guard.updates = 5;
  state.guard.power1 = 0.59049;
  state.guard.norm_mean = 1.0 / 3.0;
  RunState read;
  read_run_state(run_state_json(state), "file", read);
  EXPECT_EQ(read.plateau.best, -0.25);
  EXPECT_TRUE(read.plateau.has_best);
  EXPECT_EQ(read.plateau.bad_epochs, 3);
  EXPECT_EQ(read.plateau.drops, 1);
  EXPECT_FALSE(read.plateau.finished);
  EXPECT_TRUE(read.has_best);
  EXPECT_EQ(read.best_ce, state.best_ce);
  EXPECT_EQ(read.best_loss_x, state.best_loss_x);
  EXPECT_EQ(read.best_ce_weights, Weights::ema);
  EXPECT_EQ(read.best_loss_x_weights, Weights::raw);
  EXPECT_TRUE(read.validation_due);
  EXPECT_EQ(read.guard, state.guard);
  EXPECT_EQ(read.finetune_from, 6);
  EXPECT_TRUE(read.finetuning());
  EXPECT_EQ(read.progress.step, 0) << "a checkpoint holds its progress by itself";
}

TEST(RunState, BrokenEntriesAreErrorsThatNameTheFile) {
  RunState state;
  for (const char* json : {"", "[]", "{\"plateau\":", "3"})
    testing::expect_error(ErrorKind::data, "a.safetensors: the entry trainer is not JSON",
                          [&] { read_run_state(json, "a.safetensors", state); });
  for (const char* json : {"{}", R"({"best_entropy":"low"})",
                           R"({"best_entropy":1,"best_density":1,"has_best":true,"plateau":{}})"})
    testing::expect_error(ErrorKind::data, "a.safetensors: the entry trainer: ", [&] {
      read_run_state(json, "a.safetensors", state);
    });
}

}  // namespace
}  // namespace pal
