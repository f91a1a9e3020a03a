#include "autograd/invertible.h"

#include <algorithm>
#include <cmath>

#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/reduce.h"

// How a chain trains in memory that does not grow with its depth.
//
// Forward: the blocks run one after another, unrecorded. Each takes the stream x and leaves y, and
// x is free once y is there, unless the block's policy keeps it. On the tape the whole chain is one
// node, which holds the last y and a BlockMemory for each block.
//
// Backward: a pair travels from the last block to the first, the stream and its gradient. A block
// takes (y, grad_y), rebuilds x by its inverse or finds it in its memory, differentiates, and hands
// on (x, grad_x). Pairs are moved and never shared, so a block can free y and grad_y as soon as it
// has used them, and the streams into and out of one block are all that live at once.
//
// Rebuilding rounds, and the errors add up from block to block. An anchor is a copy of a block's
// true input that takes the place of the rebuilt one; a monitored block keeps such a copy only to
// measure the error.

namespace pal {

const char* name_of(ActivationPolicy policy) {
  switch (policy) {
    case ActivationPolicy::store:
      return "store";
    case ActivationPolicy::tapes:
      return "tapes";
    case ActivationPolicy::last_tape:
      return "last tape";
    case ActivationPolicy::recompute:
      return "recompute";
    case ActivationPolicy::invert:
      break;
  }
  return "invert";
}

bool keeps_input(ActivationPolicy policy) {
  return policy == ActivationPolicy::store || policy == ActivationPolicy::recompute;
}

bool keeps_tape(ActivationPolicy policy, bool last) {
  return policy == ActivationPolicy::store || policy == ActivationPolicy::tapes ||
         (policy == ActivationPolicy::last_tape && last);
}

std::string name_of(const BlockPolicy& policy) {
  std::string name = name_of(policy.policy);
  if (policy.form == TapeForm::lean) name += " lean";
  if (policy.form == TapeForm::narrow) name += " narrow";
  return name;
}

void InvertibleBlock::collect(const std::string&, StateList&) {}
void InvertibleBlock::initialise(DType, uint64_t) {}
void InvertibleBlock::refresh() {}

void add_to_log_det(const Tensor& log_det, double value) {
  if (value != 0.0) add_to_log_det(log_det, value, {});
}

void add_to_log_det(const Tensor& log_det, double factor, const Tensor& value) {
  if (log_det.defined()) PAL_BACKEND(log_det, add_scalar(log_det, factor, value));
}

double relative_error(const Tensor& a, const Tensor& b) {
  expect(a.shape() == b.shape() && a.dtype() == b.dtype(), "relative_error: {} against {}",
         a.shape().str(), b.shape().str());
  const Tensor sums = Tensor::empty({2}, DType::f64, Tag::workspace, a.device());
  PAL_BACKEND(a, squared_difference(a, b, sums));
  const double difference = sums.item(0);
  return difference == 0.0 ? 0.0 : std::sqrt(difference / sums.item(1));
}

/// What a recorded forward pass leaves for its backward pass.
struct InvertibleChain::Tape {
  Tensor y;
  std::vector<BlockMemory> memory;
  std::vector<Tensor> anchors;  // by block; undefined: none
  int monitored = -1;
  Tensor true_input;
};

void InvertibleChain::add(std::unique_ptr<InvertibleBlock> block, std::string name) {
  blocks_.push_back(std::move(block));
  names_.push_back(std::move(name));
}

Shape InvertibleChain::output_shape(Shape input) const {
  for (const auto& block : blocks_) input = block->output_shape(input);
  return input;
}

void InvertibleChain::collect(StateList& state) const {
  for (size_t i = 0; i < blocks_.size(); ++i) blocks_[i]->collect(names_[i] + ".", state);
}

void InvertibleChain::set_options(ChainOptions options) {
  expect(options.policies.size() == 1 || options.policies.size() == blocks_.size(),
         "InvertibleChain: expected 1 or {} policies, got {}", blocks_.size(),
         options.policies.size());
  for (const int anchor : options.anchors)
    expect(anchor >= 0 && anchor < size(), "InvertibleChain: no block {} to anchor", anchor);
  options_ = std::move(options);
}

BlockPolicy InvertibleChain::policy(int block) const {
  return options_.policies.size() == 1 ? options_.policies[0]
                                       : options_.policies[static_cast<size_t>(block)];
}

InvertibleChain::Result InvertibleChain::forward(const Variable& x, Phase phase) {
  const bool recorded = grad_enabled();
  const DeviceScope device(x.value().device());
  const auto tape = std::make_shared<Tape>();
  tape->memory.resize(blocks_.size());
  tape->anchors.resize(blocks_.size());
  const Tensor log_det = Tensor::zeros({x.value().size(0)}, DType::f64, Tag::stream);
  if (recorded) tape->monitored = std::exchange(monitored_, -1);
  Tensor stream = x.value();
  {
    const NoGradGuard no_grad;
    const TagScope tag(Tag::stream);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      BlockMemory* memory = nullptr;
      if (recorded) {
        memory = &tape->memory[i];
        const BlockPolicy chosen = policy(static_cast<int>(i));
        memory->policy = chosen.policy;
        memory->form = chosen.form;
        memory->phase = phase;
        const bool anchored = std::find(options_.anchors.begin(), options_.anchors.end(),
                                        static_cast<int>(i)) != options_.anchors.end();
        if (anchored && i > 0) tape->anchors[i] = stream.clone(Tag::anchors);
        if (static_cast<int>(i) == tape->monitored) tape->true_input = stream.clone(Tag::anchors);
      }
      stream = blocks_[i]->forward(stream, log_det, phase, memory);
    }
  }
  if (!recorded) return {Variable(stream), Variable(log_det)};
  tape->y = stream;
  const bool want_grad_x = x.requires_grad();
  auto outputs = record({x}, {stream, log_det}, true, [this, tape, want_grad_x](Gradients& grads) {
    expect(grads[0].defined() && grads[1].defined(),
           "InvertibleChain: expected gradients of both outputs");
    const BlockBackward result = run_backward(*tape, std::move(grads[0]), grads[1], want_grad_x);
    return Gradients{result.grad_x};
  });
  return {outputs[0], outputs[1]};
}

BlockBackward InvertibleChain::run_backward(Tape& tape, Tensor grad_y, const Tensor& grad_log_det,
                                            bool want_grad_x) {
  const NoGradGuard no_grad;
  const TagScope tag(Tag::stream);
  const DeviceScope device(grad_y.device());
  BlockBackward current{std::move(tape.y), std::move(grad_y)};
  for (int i = size() - 1; i >= 0; --i) {
    const auto at = static_cast<size_t>(i);
    const bool wanted = i > 0 || want_grad_x;
    current = blocks_[at]->backward(std::move(current.x), std::move(current.grad_x), grad_log_det,
                                    tape.memory[at], wanted);
    tape.memory[at] = BlockMemory();
    if (after_block_) after_block_(i);
    if (i == tape.monitored) {
      last_check_ = {i, names_[at], relative_error(tape.true_input, current.x)};
      tape.true_input = Tensor();
    }
    if (tape.anchors[at].defined()) current.x = std::exchange(tape.anchors[at], Tensor());
  }
  return current;
}

Tensor InvertibleChain::inverse(Tensor y, const Tensor& log_det) const {
  const NoGradGuard no_grad;
  const TagScope tag(Tag::stream);
  const DeviceScope device(y.device());
  for (size_t i = blocks_.size(); i-- > 0;) y = blocks_[i]->inverse(y, log_det);
  return y;
}

}  // namespace pal
