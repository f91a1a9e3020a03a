#include "layers/subnet.h"

#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "autograd/norm_product.h"
#include "autograd/norm_statistics.h"

namespace pal {
namespace {

// Input channels of a stem: so few that it costs a small part of the convolution that follows.
constexpr int64_t kMostStemChannels = 8;

/// How the result of a convolution can be made again from its input: by the same operation,
/// unrecorded.
struct Remaking {
  Variable result;
  std::function<Tensor()> remake;
};

template <typename Operation>
Remaking remaking(const Variable& result, const Variable& input, const Operation& operation) {
  return {result, [=] {
            const NoGradGuard no_grad;
            const TagScope tag(Tag::subnet);
            return operation(input).value();
          }};
}

}  // namespace

Remade remade_of(TapeForm form, Remade full) {
  if (form == TapeForm::full) return full;
  return form == TapeForm::lean ? Remade::normalised : Remade::widened;
}

/// One executed layer.
class Subnet::Layer {
 public:
  Layer(int position, int64_t in_channels, const LayerSpec& spec)
      : name_(spec.name.empty() ? std::to_string(position) : spec.name),
        in_channels_(in_channels),
        spec_(spec) {
    if (spec.kind == LayerSpec::Kind::conv) {
      const auto fan_in = static_cast<double>(in_channels * spec.kernel * spec.kernel);
      weight_.emplace(Shape{spec.out_channels, spec.kernel, spec.kernel, in_channels},
                      Init::normal(spec.init_gain * std::sqrt(2.0 / fan_in)));
      if (spec.bias) bias_.emplace(Shape{spec.out_channels}, Init::constant(0.0));
    } else if (spec.kind == LayerSpec::Kind::batch_norm) {
      weight_.emplace(Shape{in_channels}, Init::constant(1.0));
      bias_.emplace(Shape{in_channels}, Init::constant(0.0));
    }
  }

  LayerSpec::Kind kind() const { return spec_.kind; }
  bool widens() const { return out_channels() > in_channels_; }
  int64_t out_channels() const {
    return spec_.kind == LayerSpec::Kind::conv ? spec_.out_channels : in_channels_;
  }
  void fuse_relu() { fused_relu_ = true; }

  void collect(const std::string& prefix, StateList& state) {
    if (weight_) state.add(prefix + name_ + ".weight", *weight_);
    if (bias_) state.add(prefix + name_ + ".bias", *bias_);
    if (spec_.kind != LayerSpec::Kind::batch_norm) return;
    state.add_statistic(prefix + name_ + ".running_mean", running_mean_);
    state.add_statistic(prefix + name_ + ".running_var", running_var_);
  }

  void initialise(DType dtype) {
    if (spec_.kind != LayerSpec::Kind::batch_norm) return;
    running_mean_ = Tensor::zeros({in_channels_}, dtype, Tag::parameters, device_of_values());
    running_var_ = Tensor::empty({in_channels_}, dtype, Tag::parameters, device_of_values());
    running_var_.fill(1.0);
  }

  ConvGeometry geometry() const { return {spec_.kernel, spec_.stride, spec_.kernel / 2}; }

  Shape output_shape(const Shape& input) const {
    return spec_.kind == LayerSpec::Kind::conv ? geometry().out_shape(input, spec_.out_channels)
                                               : input;
  }

  /// A convolution whose result is large for what it costs to make it.
  bool is_stem() const {
    return spec_.kind == LayerSpec::Kind::conv && !spec_.bias && in_channels_ <= kMostStemChannels;
  }
  Conv conv() {
    return {&*weight_, bias_ ? &*bias_ : nullptr, geometry(), bias_gradient_elsewhere_};
  }
  /// The bias of a convolution, to whose gradient the caller adds on a GPU; null: none.
  Parameter* take_bias_gradient() {
    if (spec_.kind != LayerSpec::Kind::conv || !bias_) return nullptr;
    bias_gradient_elsewhere_ = true;
    return &*bias_;
  }
  Norm norm(Communicator* ranks) { return {&*weight_, &*bias_, fused_relu_, ranks}; }

  /// A batch norm's part in a run.
  NormRun begin_norm(const SubnetPass& pass, size_t& statistics_at, int64_t average_count) {
    NormRun run;
    BatchNormArgs& args = run.args;
    args.weight = weight_->value;
    args.bias = bias_->value;
    run.batch_statistics_used = pass.phase == Phase::train;
    if (pass.phase == Phase::train && pass.replay != nullptr) {
      expect(statistics_at + 2 <= pass.replay->size(), "subnet: no statistics kept for {}",
             weight_->name);
      args.mean = (*pass.replay)[statistics_at++];
      args.inv_std = (*pass.replay)[statistics_at++];
    } else if (pass.phase == Phase::train) {
      run.measure = to_measure(average_count);
      args.mean = run.measure.mean;
      args.inv_std = run.measure.inv_std;
      if (pass.record != nullptr) {
        pass.record->push_back(args.mean);
        pass.record->push_back(args.inv_std);
      }
    } else {
      args.mean = running_mean_;
      args.inv_std = Tensor::empty(running_var_.shape(), running_var_.dtype(), Tag::statistics);
      PAL_BACKEND(running_var_, inverse_deviation(running_var_, kBatchNormEpsilon, args.inv_std));
    }
    return run;
  }

  LayerSummary summary(const Shape& input, int64_t item_bytes) const {
    static constexpr const char* kKinds[] = {"batch norm", "relu", "conv"};
    LayerSummary row;
    row.name = name_;
    row.kind = kKinds[static_cast<int>(spec_.kind)];
    row.output = output_shape(input);
    if (weight_) row.parameters += weight_->shape.numel();
    if (bias_) row.parameters += bias_->shape.numel();
    // A tape keeps each layer's input: the convolution's for its weight gradient, the batch norm's
    // to recompute its mask.
    row.kept_bytes = input.numel() / input[0] * item_bytes;
    if (spec_.kind != LayerSpec::Kind::conv) {
      if (fused_relu_) row.kind = "batch norm + relu";
      return row;
    }
    row.kind = fmt::format("conv {}x{}/{}", spec_.kernel, spec_.kernel, spec_.stride);
    row.kernel = spec_.kernel;
    row.stride = spec_.stride;
    row.multiply_adds = row.output[1] * row.output[2] * weight_->shape.numel();
    return row;
  }

 private:
  /// Where a batch's statistics go, and the running ones that follow them.
  BatchStatistics to_measure(int64_t average_count) const {
    BatchStatistics statistics;
    statistics.mean = Tensor::empty({in_channels_}, running_mean_.dtype(), Tag::statistics);
    statistics.inv_std = Tensor::empty({in_channels_}, running_mean_.dtype(), Tag::statistics);
    statistics.running_mean = running_mean_;
    statistics.running_var = running_var_;
    statistics.epsilon = kBatchNormEpsilon;
    statistics.momentum =
        average_count > 0 ? 1.0 / static_cast<double>(average_count) : spec_.momentum;
    return statistics;
  }

  std::string name_;
  int64_t in_channels_;
  LayerSpec spec_;
  bool fused_relu_ = false;
  bool bias_gradient_elsewhere_ = false;
  std::optional<Parameter> weight_;
  std::optional<Parameter> bias_;
  Tensor running_mean_;
  Tensor running_var_;
};

Subnet::Subnet(int64_t in_channels, const SubnetSpec& spec, DType compute) : compute_(compute) {
  expect(in_channels > 0, "subnet: expected at least one input channel, got {}", in_channels);
  int position = 0;
  for (const LayerSpec& layer : spec) {
    const bool after_norm =
        !layers_.empty() && layers_.back()->kind() == LayerSpec::Kind::batch_norm;
    if (layer.kind == LayerSpec::Kind::relu && after_norm) {
      layers_.back()->fuse_relu();
    } else {
      layers_.push_back(std::make_unique<Layer>(position, in_channels, layer));
      in_channels = layers_.back()->out_channels();
    }
    ++position;
  }
}

Subnet::~Subnet() = default;

void Subnet::collect(const std::string& prefix, StateList& state) {
  for (const auto& layer : layers_) layer->collect(prefix, state);
}

bool Subnet::has_stem() const {
  return layers_.size() > 2 && layers_[0]->is_stem() &&
         layers_[1]->kind() == LayerSpec::Kind::batch_norm &&
         layers_[2]->kind() == LayerSpec::Kind::conv;
}

Remade Subnet::remade_from(size_t layer) const {
  using Kind = LayerSpec::Kind;
  const auto is = [&](size_t i, Kind kind) {
    return i < layers_.size() && layers_[i]->kind() == kind;
  };
  if (layer < 2 && has_stem()) return Remade::stem;
  if (is(layer, Kind::batch_norm) && is(layer + 1, Kind::conv)) return Remade::normalised;
  if (is(layer, Kind::conv) && is(layer + 1, Kind::batch_norm) && layers_[layer]->widens())
    return Remade::widened;
  return Remade::nothing;
}

Parameter* Subnet::take_last_bias_gradient() { return layers_.back()->take_bias_gradient(); }

void Subnet::initialise(DType dtype) {
  for (const auto& layer : layers_) layer->initialise(dtype);
}

Variable Subnet::forward(const Variable& x, const SubnetPass& pass) {
  const TagScope tag(Tag::subnet);
  const DType result = x.value().dtype() == DType::f64 ? DType::f64 : compute_;
  using Kind = LayerSpec::Kind;
  Variable current = x;
  size_t statistics_at = 0;
  const auto kind = [&](size_t i) {
    return i < layers_.size() ? std::optional(layers_[i]->kind()) : std::nullopt;
  };
  const auto measured = [this](const Variable& of, NormRun run) {
    if (run.measure.mean.defined()) measure_norm(of.value(), run.measure, ranks_);
    return run;
  };
  const bool lean = pass.remade >= Remade::normalised && grad_enabled();
  // The next batch norm's, if its statistics were measured where its input was made.
  std::optional<NormRun> next_norm;
  // A result that the tape does not keep: it is dropped once the next layer has used it.
  std::optional<Remaking> unkept;
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = *layers_[i];
    const bool before_conv = kind(i + 1) == Kind::conv;
    const std::optional<Remaking> used = std::exchange(unkept, std::nullopt);
    // Goes on with what layer `at`, a convolution, has made, and `again` makes of the current value.
    const auto go_on = [&](size_t at, const Variable& made, const auto& again) {
      const Remade from = remade_from(at);
      if (lean && from != Remade::nothing && from <= pass.remade)
        unkept = remaking(made, current, again);
      current = made;
    };
    if (i == 0 && pass.remade != Remade::nothing && has_stem()) {
      const NormRun run = layers_[1]->begin_norm(pass, statistics_at, average_count_);
      current =
          stem_norm_conv(current, layer.conv(), layers_[1]->norm(ranks_), run, layers_[2]->conv(),
                         {.lean = pass.remade >= Remade::normalised}, result);
      i = 2;
    } else if (kind(i) == Kind::relu) {
      current = relu(current);
    } else if (kind(i) == Kind::conv) {
      const auto op = [conv = layer.conv(), result](const Variable& of) {
        return conv2d(cast(of, result), conv);
      };
      go_on(i, op(current), op);
    } else {
      const NormRun run =
          next_norm ? *std::exchange(next_norm, std::nullopt)
                    : measured(current, layer.begin_norm(pass, statistics_at, average_count_));
      const Norm norm = layer.norm(ranks_);
      const Conv conv = before_conv ? layers_[i + 1]->conv() : Conv();
      if (before_conv && fuses_norm_product(current.value(), conv, result)) {
        if (kind(i + 2) == Kind::batch_norm)
          next_norm = layers_[i + 2]->begin_norm(pass, statistics_at, average_count_);
        const Variable made = norm_product(current, norm, run, conv, result,
                                           next_norm ? next_norm->measure : BatchStatistics());
        go_on(++i, made,
              [=](const Variable& of) { return norm_product(of, norm, run, conv, result); });
      } else if (lean && before_conv) {
        const auto op = [=](const Variable& of) { return norm_conv(of, norm, run, conv, result); };
        go_on(++i, op(current), op);
      } else {
        // What the layers before have made lies in a cache still, and nobody else sees it.
        const bool overwrite = i > 0 && !grad_enabled();
        current = batch_norm(current, run.args, norm, run.batch_statistics_used, result, overwrite);
      }
    }
    if (used) used->result.drop_value(used->remake);
  }
  return current;
}

Shape Subnet::output_shape(Shape input) const {
  for (const auto& layer : layers_) input = layer->output_shape(input);
  return input;
}

std::vector<LayerSummary> Subnet::summary(Shape input, DType input_dtype) const {
  std::vector<LayerSummary> rows;
  for (const auto& layer : layers_) {
    const int64_t item = size_of(rows.empty() ? input_dtype : compute_);
    const Remade remade = remade_from(rows.size());
    rows.push_back(layer->summary(input, item));
    rows.back().remade = remade;
    input = rows.back().output;
  }
  return rows;
}

}  // namespace pal
