#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/variable.h"

namespace pal {

/// What a block keeps of its forward pass for the backward pass, beside batch statistics.
enum class ActivationPolicy {
  store,      ///< its input, and the tapes of its subnets: everything they computed
  tapes,      ///< the tapes; their results, the coupling's factors, rebuild the input
  last_tape,  ///< as `tapes`, but of the subnet that ran last alone; others run again
  recompute,  ///< its input; subnets run again
  invert,     ///< nothing; the input is rebuilt from the output, and subnets run again for it
};
/// All of them, from the most memory to the least.
inline constexpr ActivationPolicy kActivationPolicies[] = {
    ActivationPolicy::store, ActivationPolicy::tapes, ActivationPolicy::last_tape,
    ActivationPolicy::recompute, ActivationPolicy::invert};
/// "store", "tapes", "last tape", "recompute" or "invert".
const char* name_of(ActivationPolicy policy);
/// Whether a block keeps its input; else its backward pass rebuilds that from the output.
bool keeps_input(ActivationPolicy policy);
/// Whether a block keeps the tape of a subnet, `last` or not in the order of the forward pass.
bool keeps_tape(ActivationPolicy policy, bool last);

/// How much of what a subnet computes its tape holds, whether it is kept or made in the backward
/// pass.
enum class TapeForm {
  full,  ///< everything
  /// What convolutions compute, but not the normalised values between them, which are made anew:
  /// half a tape for another pass of the batch norms (Remade::normalised).
  lean,
  /// As lean, but without the results of convolutions that have more channels than their input,
  /// the widest tensors of a tape. These convolutions run again (Remade::widened).
  narrow,
};
inline constexpr TapeForm kTapeForms[] = {TapeForm::full, TapeForm::lean, TapeForm::narrow};

/// The policy of one block, and the form of its tapes.
struct BlockPolicy {
  ActivationPolicy policy = ActivationPolicy::invert;
  TapeForm form = TapeForm::full;

  BlockPolicy() = default;
  // A policy alone is meant wherever a BlockPolicy is expected.
  BlockPolicy(ActivationPolicy of, TapeForm tapes = TapeForm::full) : policy(of), form(tapes) {}
  bool operator==(const BlockPolicy&) const = default;
};
/// "store", "store lean", "tapes narrow", "invert", ...
std::string name_of(const BlockPolicy& policy);

/// Training uses (and updates) batch statistics; evaluation uses running ones.
enum class Phase { train, evaluate };

/// A subnet's run on its own small tape: from a stream half to the coupling's factors.
struct LocalTape {
  Variable input;
  Variable output;
};

/// What one subnet of a block keeps.
struct SubnetMemory {
  /// What it computed (keeps_tape), without the value of its input unless the block keeps that.
  LocalTape tape;
  /// Mean and inverse deviation of each batch norm in order of execution (training phase), so that
  /// a recomputation is the same function and leaves the running statistics alone.
  std::vector<Tensor> statistics;
};

/// What lives between one block's forward and backward pass.
struct BlockMemory {
  ActivationPolicy policy = ActivationPolicy::invert;
  TapeForm form = TapeForm::full;
  Phase phase = Phase::train;
  /// The block's input (keeps_input).
  Tensor input;
  /// What each subnet keeps, in the block's order of subnets.
  std::vector<SubnetMemory> subnets;
  /// The act norm's output where a learned mixing needs it (keeps_input).
  Tensor unmixed;
};

/// What a block's backward pass gives.
struct BlockBackward {
  Tensor x;       ///< the block's input, rebuilt or kept
  Tensor grad_x;  ///< undefined if not wanted
};

/// An invertible map with learned parts. Streams are f32 or f64; log_det and its gradient are
/// f64 [batch], in nats.
class InvertibleBlock {
 public:
  virtual ~InvertibleBlock() = default;

  /// The block's kind for summaries and messages: "slow coupling".
  virtual std::string kind() const = 0;
  /// Shape of y for a shape of x. Throws usage for an x that the block cannot take.
  virtual Shape output_shape(const Shape& input) const = 0;
  /// Adds the block's parameters and buffers to `state`, their names beginning with `prefix`.
  virtual void collect(const std::string& prefix, StateList& state);
  /// To be called once the parameters have their memory: makes the buffers in `dtype` and fills
  /// what needs more than an Init.
  virtual void initialise(DType dtype, uint64_t seed);
  /// To be called after buffers were loaded or moved to another device: renews what is derived from
  /// them.
  virtual void refresh();

  /// y = f(x) in new memory; adds log|det df/dx| of each sample to log_det. Keeps in `memory` what
  /// its policy asks for; null: inference, nothing is kept. In the training phase running
  /// statistics are updated.
  virtual Tensor forward(const Tensor& x, const Tensor& log_det, Phase phase,
                         BlockMemory* memory) = 0;

  /// x = f^-1(y) with running statistics; adds log|det df^-1/dy| to log_det if that is defined.
  virtual Tensor inverse(const Tensor& y, const Tensor& log_det) = 0;

  /// Rebuilds x (or takes it from memory) and differentiates grad_y . y + grad_log_det . log_det:
  /// adds to the gradients of the block's parameters and returns that of x in new memory. Releases
  /// what `memory` held, and y and grad_y as soon as they are not needed. y may be undefined if
  /// the policy keeps the input.
  virtual BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                 BlockMemory& memory, bool want_grad_x) = 0;
};

/// One measurement of the inversion monitor: how well a block's input x was rebuilt as x'.
struct InversionCheck {
  int block = -1;
  std::string name;
  double relative_error = 0.0;  ///< ||x - x'|| / ||x||
};

/// How a chain trades memory for work.
struct ChainOptions {
  /// What blocks keep: one policy per block, or one for all.
  std::vector<BlockPolicy> policies = {ActivationPolicy::invert};
  /// Blocks whose input is kept to reset the drift of inversion.
  std::vector<int> anchors;
};

/// A sequence of invertible blocks that is one node on the tape.
class InvertibleChain {
 public:
  /// Appends a block. `name` is the prefix of its parameters' names and stands in messages.
  void add(std::unique_ptr<InvertibleBlock> block, std::string name);
  /// How many blocks there are.
  int size() const { return static_cast<int>(blocks_.size()); }
  InvertibleBlock& block(int i) const { return *blocks_[static_cast<size_t>(i)]; }
  const std::string& name(int i) const { return names_[static_cast<size_t>(i)]; }
  /// Shape of y for a shape of x. Throws usage for an x that a block cannot take.
  Shape output_shape(Shape input) const;
  /// Adds the parameters and buffers of all blocks to `state`.
  void collect(StateList& state) const;

  /// Throws usage for another number of policies than one or one per block, and for an anchor that
  /// is no block.
  void set_options(ChainOptions options);
  const ChainOptions& options() const { return options_; }
  /// The policy of block `block`.
  BlockPolicy policy(int block) const;

  struct Result {
    Variable y;
    Variable log_det;  ///< f64 [batch], nats
  };
  /// y and its log-determinant: runs the blocks without a tape and records the whole chain as one
  /// node (unless grad is off). A backward pass needs gradients of both results.
  Result forward(const Variable& x, Phase phase);

  /// x from y with running statistics; adds the inverse's log-determinant of each sample to
  /// log_det, f64 [batch], if that is defined.
  Tensor inverse(Tensor y, const Tensor& log_det = {}) const;

  /// Called in each backward pass once the gradients of a block's parameters are complete, from the
  /// last block to the first; null: nobody.
  void after_block(std::function<void(int block)> done) { after_block_ = std::move(done); }

  /// The next recorded forward pass keeps the true input of this block, and its backward pass
  /// measures how well that was rebuilt. -1: none.
  void monitor_next(int block) { monitored_ = block; }
  /// The latest measurement; block -1 before the first.
  const InversionCheck& last_check() const { return last_check_; }

 private:
  struct Tape;
  BlockBackward run_backward(Tape& tape, Tensor grad_y, const Tensor& grad_log_det,
                             bool want_grad_x);

  std::vector<std::unique_ptr<InvertibleBlock>> blocks_;
  std::vector<std::string> names_;
  ChainOptions options_;
  std::function<void(int block)> after_block_;
  int monitored_ = -1;
  InversionCheck last_check_;
};

/// Adds the same value, in nats, to every sample's log_det, f64 [batch]; nothing if that is
/// undefined.
void add_to_log_det(const Tensor& log_det, double value);
/// Adds factor * value[0] to every sample's log_det; value f64 [1] on the device of log_det.
void add_to_log_det(const Tensor& log_det, double factor, const Tensor& value);

/// ||a - b|| / ||a|| over all elements, in double; 0 if both are zero.
double relative_error(const Tensor& a, const Tensor& b);

}  // namespace pal
