#include "experiments/training/step_advice.h"

#include <gtest/gtest.h>

namespace pal {
namespace {

/// A run far from its start, whose gradients were as always.
StepHistory steady() {
  StepHistory h;
  h.step = 5000;
  h.warmup_steps = 50;
  h.first_loss = 2.5;
  h.last_loss = 1.25;
  h.taken = 4999;
  h.mean_norm = 1.0;
  h.last_norm = 1.5;
  h.learning_rate = 0.05;
  h.clip_norm = 2.0;
  h.clamp = 2.0;
  return h;
}

TEST(StepAdvice, BeginsWithWhatFitsTheCase) {
  const std::string loss = "the loss went from 2.5 to 1.25 in 4999 steps; try, in this order: ";
  EXPECT_EQ(step_advice(steady(), Fault::Place::gradient),
            loss + "--lr 0.025 (now 0.05), --clip-grad 1 (now 2), --clamp 1 (now 2)");
  EXPECT_EQ(step_advice(steady(), Fault::Place::activation),
            loss + "--clamp 1 (now 2), --lr 0.025 (now 0.05), --clip-grad 1 (now 2)");
  StepHistory jump = steady();
  jump.last_norm = 40.0;
  EXPECT_EQ(step_advice(jump, Fault::Place::activation),
            loss + "--clip-grad 1 (now 2), --lr 0.025 (now 0.05), --clamp 1 (now 2)");
  StepHistory early = steady();
  early.step = early.taken = 60;
  EXPECT_EQ(step_advice(early, Fault::Place::loss),
            "the loss went from 2.5 to 1.25 in 60 steps; try, in this order: --warmup-steps 200 "
            "(now 50), --lr 0.025 (now 0.05), --clamp 1 (now 2), --clip-grad 1 (now 2)");
  early.warmup_steps = 700;
  EXPECT_NE(step_advice(early, Fault::Place::loss).find("--warmup-steps 1400 (now 700)"),
            std::string::npos);
  // The first updates broke it: no warm-up would do.
  StepHistory at_once = steady();
  at_once.taken = 1;
  at_once.step = 2;
  EXPECT_EQ(step_advice(at_once, Fault::Place::gradient),
            "try, in this order: --lr 0.005 (now 0.05), --warmup-steps 200 (now 50), --clamp 1 "
            "(now 2), --clip-grad 1 (now 2)");
  // Updates that overflowed, not what the run began with.
  EXPECT_EQ(step_advice(steady(), Fault::Place::weights),
            loss + "--lr 0.025 (now 0.05), --clip-grad 1 (now 2), --clamp 1 (now 2)");
}

TEST(StepAdvice, NamesNoKnobThatIsNotThere) {
  StepHistory h = steady();
  h.clamp = 0.0;
  h.clip_norm = 0.0;
  h.taken = 0;
  h.bf16 = true;
  EXPECT_EQ(step_advice(h, Fault::Place::gradient),
            "try, in this order: --clip-grad 2 (now none), --lr 0.025 (now 0.05), --precision fp32 "
            "(now bf16)");
  EXPECT_EQ(step_advice(h, Fault::Place::images), "look at the pictures");
  EXPECT_EQ(step_advice(h, Fault::Place::weights),
            "look at the checkpoint that the run began with");
  EXPECT_EQ(step_advice(h, Fault::Place::nowhere).find("--lr"), std::string::npos);
  StepHistory head = steady();
  head.taken = 0;
  head.head_of_flow = true;
  head.bf16 = true;
  EXPECT_EQ(step_advice(head, Fault::Place::gradient),
            "try, in this order: --lr-mu 0.025 (now 0.05)");
}

}  // namespace
}  // namespace pal
