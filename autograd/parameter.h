#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/library/conv.h"
#include "runtime/tensor.h"

namespace pal {

/// Which learning rate, decay and clipping a parameter gets.
enum class ParameterGroup { network, means };

/// How a parameter starts.
struct Init {
  enum class Kind { constant, normal, custom } kind = Kind::constant;
  double value = 0.0;  ///< the constant, or the standard deviation
  static Init constant(double value) { return {Kind::constant, value}; }
  static Init normal(double standard_deviation) { return {Kind::normal, standard_deviation}; }
  /// The owner of the parameter fills it.
  static Init custom() { return {Kind::custom, 0.0}; }
};

/// A trainable tensor. Value and gradient are views into the flat buffers of a ParameterStore;
/// operations add to the gradient in place.
struct Parameter {
  std::string name;
  Shape shape;
  Init init;
  ParameterGroup group = ParameterGroup::network;
  /// Part of the head: what is trained when the network before it is frozen. Means always are.
  bool head = false;
  Tensor value;
  Tensor grad;
  /// Copies of a convolution's weights in the layouts of libraries.
  WeightShadow shadow;

  Parameter() = default;
  Parameter(Shape shape_, Init init_, ParameterGroup group_ = ParameterGroup::network)
      : shape(shape_), init(init_), group(group_), head(group_ == ParameterGroup::means) {}
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;
};

/// A 64-bit hash of a name (FNV-1a): its stream of random numbers.
uint64_t random_stream_of(const std::string& name);

/// A tensor of the model that is saved but not trained: running statistics, fixed permutations.
struct Buffer {
  std::string name;
  Tensor* tensor;
  /// Whether training steps move it: a running statistic.
  bool moves = false;
};

/// The parameters and buffers of a model, by name and in the order of checkpoints.
struct StateList {
  std::vector<Parameter*> parameters;
  std::vector<Buffer> buffers;

  /// Adds a parameter and gives it its name.
  void add(const std::string& name, Parameter& parameter);
  /// Adds a buffer, which may still be undefined.
  void add(const std::string& name, Tensor& buffer);
  /// Adds a running statistic, which may still be undefined.
  void add_statistic(const std::string& name, Tensor& statistic);
};

/// All parameters of a model in one flat buffer, gradients in a second: network first, the part of
/// it that belongs to the head last, then means. So the head is one range at the end. A third one
/// holds the running statistics.
class ParameterStore {
 public:
  /// Allocates the two flat buffers in `dtype` on the CPU (or the meta device of the scope) and
  /// gives the parameters their views and initial values. Random values depend on the seed and the
  /// parameter's name only; without a seed all are 0, to be loaded. Throws usage if two parameters
  /// have one name.
  void materialise(const std::vector<Parameter*>& parameters, DType dtype,
                   std::optional<uint64_t> seed);

  /// Brings the running statistics among `buffers`, which have memory, into the third flat buffer:
  /// their tensors become views of it, with their values.
  void gather_statistics(const std::vector<Buffer>& buffers);

  /// All parameters in the order of the buffers.
  const std::vector<Parameter*>& parameters() const { return parameters_; }
  /// Flat views of the values and gradients of one group, one element per parameter value.
  Tensor values(ParameterGroup group) const;
  Tensor grads(ParameterGroup group) const;
  const Tensor& all_values() const { return values_; }
  const Tensor& all_grads() const { return grads_; }
  /// Flat, in the dtype of the values; of no element before gather_statistics().
  const Tensor& all_statistics() const { return statistics_; }
  /// The running statistics in the order of their buffer.
  const std::vector<Buffer>& statistics() const { return moving_; }
  /// How many values the parameters of a group have.
  int64_t count(ParameterGroup group) const;
  /// How many values stand before those of the head.
  int64_t count_before_head() const { return before_head_; }
  /// Where the values of one of the parameters begin.
  int64_t place_of(const Parameter& parameter) const;
  DType dtype() const { return values_.dtype(); }
  /// Sets all gradients to 0.
  void zero_grad() const { grads_.zero(); }
  /// Moves values, gradients and statistics to another device; the views of them move along.
  void to(Device device);
  /// To be called after any change of values: library copies of weights are stale then.
  void mark_changed() const;

 private:
  void make_views();
  void make_statistic_views();

  std::vector<Parameter*> parameters_;
  std::vector<Buffer> moving_;
  Tensor values_, grads_, statistics_;
  int64_t network_count_ = 0;
  int64_t before_head_ = 0;
};

}  // namespace pal
