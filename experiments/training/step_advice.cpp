#include "experiments/training/step_advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace pal {
namespace {

std::string lower(const char* option, double from, double by = 2.0) {
  return fmt::format("--{} {:.3g} (now {:g})", option, from / by, from);
}

/// The turn of a knob, or nothing where it cannot help.
std::string lower_rate(const StepHistory& h, double by = 2.0) {
  return lower(h.head_of_flow ? "lr-mu" : "lr", h.learning_rate, by);
}

std::string longer_warmup(const StepHistory& h) {
  constexpr int64_t kUsual = 200;
  return fmt::format("--warmup-steps {} (now {})", std::max(kUsual, 2 * h.warmup_steps),
                     h.warmup_steps);
}

std::string tighter_clip(const StepHistory& h) {
  constexpr double kTight = 0.5;
  if (h.head_of_flow) return {};
  if (h.clip_norm == 0.0) return "--clip-grad 2 (now none)";
  return h.clip_norm > kTight ? lower("clip-grad", h.clip_norm) : std::string();
}

std::string smaller_clamp(const StepHistory& h) {
  constexpr double kSmall = 0.5;
  return h.clamp > kSmall && !h.head_of_flow ? lower("clamp", h.clamp) : std::string();
}

/// Of a run that took more than its first steps well.
std::vector<std::string> in_usual_order(const StepHistory& h, Fault::Place place) {
  constexpr int64_t kStart = 100;
  constexpr double kJump = 10.0;
  // Still in the warm-up, or just out of it: the rate came too soon.
  if (h.step <= std::max(kStart, 2 * h.warmup_steps))
    return {longer_warmup(h), lower_rate(h), smaller_clamp(h), tighter_clip(h)};
  // A gradient that grew out of nothing; its direction counts, not its length.
  if (h.taken > 1 && h.last_norm > kJump * h.mean_norm)
    return {tighter_clip(h), lower_rate(h), smaller_clamp(h)};
  // Factors of the couplings multiplied up.
  if (place == Fault::Place::activation && h.clamp > 1.0)
    return {smaller_clamp(h), lower_rate(h), tighter_clip(h)};
  return {lower_rate(h), tighter_clip(h), smaller_clamp(h)};
}

std::vector<std::string> in_order(const StepHistory& h, Fault::Place place) {
  constexpr int64_t kAtOnce = 3;
  // The first updates broke it: no warm-up would do.
  if (h.taken <= kAtOnce && h.step <= kAtOnce + h.taken)
    return {lower_rate(h, 10.0), longer_warmup(h), smaller_clamp(h), tighter_clip(h)};
  std::vector<std::string> knobs = in_usual_order(h, place);
  // Without any bound on gradients that is the first thing to have.
  const auto clip = std::ranges::find(knobs, tighter_clip(h));
  if (h.clip_norm == 0.0 && clip != knobs.end()) std::rotate(knobs.begin(), clip, clip + 1);
  return knobs;
}

}  // namespace

std::string step_advice(const StepHistory& h, Fault::Place place) {
  std::string text;
  if (h.taken > 1)
    text = fmt::format("the loss went from {:.4g} to {:.4g} in {} steps; ", h.first_loss,
                       h.last_loss, h.taken);
  if (place == Fault::Place::images) return text + "look at the pictures";
  if (place == Fault::Place::weights && h.taken == 0)
    return text + "look at the checkpoint that the run began with";
  if (place == Fault::Place::nowhere)
    return text + "computing it again gives finite numbers: suspect the memory of the machine";
  std::vector<std::string> knobs = in_order(h, place);
  std::erase(knobs, std::string());
  if (h.bf16 && !h.head_of_flow) knobs.emplace_back("--precision fp32 (now bf16)");
  return fmt::format("{}try, in this order: {}", text, fmt::join(knobs, ", "));
}

}  // namespace pal
