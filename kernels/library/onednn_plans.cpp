#include "kernels/library/onednn_plans.h"

#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "runtime/parallel.h"

namespace pal::cpu {
namespace {

using onednn::Memory;

/// Weights in a layout of the library's choice.
Memory::desc any_weight(int64_t out, int64_t in, int64_t k, DType dtype) {
  return {{out, in, k, k}, onednn::data_type(dtype), Memory::format_tag::any};
}

template <typename Descriptor>
void finish_plan(ConvPlan& plan, const Descriptor& descriptor, const char* what, const Tensor& x,
                 const Tensor& y, const ConvGeometry& g) {
  plan.scratchpad = descriptor.scratchpad_desc();
  note_implementation(fmt::format("{} {} {} k{} s{} {}->{}", what, name_of(x.dtype()),
                                  x.shape().str(), g.kernel, g.stride, x.channels(), y.channels()),
                      descriptor.impl_info_str());
}

ConvPlan make_plan(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                   const ConvGeometry& g) {
  const Memory::dims padding = {g.padding, g.padding};
  // The right padding that makes (size + left + right - k) / stride exact.
  const auto right = [&](int64_t in, int64_t out) {
    return (out - 1) * g.stride + g.kernel - in - g.padding;
  };
  const Memory::desc bias({y.channels()}, Memory::data_type::f32, Memory::format_tag::a);
  const bool blocks =
      pass == ConvPass::weight && conv_gradient_in_blocks(x.dtype(), x.size(1), x.channels(), g);
  const onednn::Convolution convolution = {
      .x = blocks ? onednn::in_any_layout(image(x)) : image(x),
      .weight = any_weight(y.channels(), x.channels(), g.kernel, x.dtype()),
      .bias = has_bias ? bias : Memory::desc(),
      .y = blocks ? onednn::in_any_layout(image(y)) : image(y),
      .strides = {g.stride, g.stride},
      .padding = padding,
      .padding_right = {right(x.size(1), y.size(1)), right(x.size(2), y.size(2))}};
  const dnnl::primitive_attr attr = onednn::attributes();
  const onednn::ForwardDescriptor forward = onednn::describe_forward(convolution, attr);
  ConvPlan plan;
  plan.x = convolution.x;
  plan.y = convolution.y;
  plan.bias = bias;
  if (pass == ConvPass::forward) {
    plan.weight = forward.weights_desc();
    plan.primitive = dnnl::convolution_forward(forward);
    finish_plan(plan, forward, "conv_forward", x, y, g);
    return plan;
  }
  if (pass == ConvPass::data) {
    const auto backward = onednn::describe_backward_data(convolution, attr, forward);
    plan.weight = backward.weights_desc();
    plan.primitive = dnnl::convolution_backward_data(backward);
    finish_plan(plan, backward, "conv_backward_data", x, y, g);
    return plan;
  }
  onednn::Convolution gradient = convolution;
  gradient.weight = any_weight(y.channels(), x.channels(), g.kernel, DType::f32);
  const auto backward = onednn::describe_backward_weights(gradient, attr, forward);
  plan.x = backward.src_desc();
  plan.y = backward.diff_dst_desc();
  plan.weight = backward.diff_weights_desc();
  plan.primitive = dnnl::convolution_backward_weights(backward);
  finish_plan(plan, backward, "conv_backward_weight", x, y, g);
  return plan;
}

std::vector<int64_t> plan_key(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                              const ConvGeometry& g) {
  return {static_cast<int64_t>(pass),
          x.size(0),
          x.size(1),
          x.size(2),
          x.size(3),
          y.size(3),
          g.kernel,
          g.stride,
          g.padding,
          has_bias,
          static_cast<int64_t>(x.dtype()),
          thread_count()};
}

int64_t slice_count(ConvPass pass, const Tensor& x, const Tensor& y, const ConvGeometry& g) {
  const int64_t threads = thread_count();
  const int64_t batch = x.size(0);
  if (batch < threads || (batch % threads != 0 && batch < 8 * threads)) return 1;
  if (pass != ConvPass::weight) return threads;
  if (conv_gradient_in_blocks(x.dtype(), x.size(1), x.channels(), g)) return 1;
  const int64_t values = y.channels() * x.channels() * g.kernel * g.kernel;
  const bool small = threads * values <= (x.numel() + y.numel()) / 2;
  return small ? threads : 1;
}

Slices cut(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias, const ConvGeometry& g) {
  constexpr int64_t kAlignment = 64;
  const int64_t count = slice_count(pass, x, y, g);
  Slices slices;
  if (count == 1) return slices;
  const ThreadScope one(1);
  const bool gradient = pass == ConvPass::weight;
  const auto take = [&](size_t bytes) {
    const int64_t begin = slices.workspace;
    slices.workspace += (static_cast<int64_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
    return begin;
  };
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = x.size(0) * i / count;
    const int64_t images = x.size(0) * (i + 1) / count - begin;
    const ConvPlan& plan =
        plan_of(pass, x.slice_batch(begin, images), y.slice_batch(begin, images), has_bias, g);
    Slice slice = {.begin = begin, .plan = &plan, .weight = 0, .bias = 0, .scratchpad = 0};
    slice.weight = take(gradient ? plan.weight.get_size() : 0);
    slice.bias = take(gradient && has_bias ? plan.bias.get_size() : 0);
    slice.scratchpad = take(plan.scratchpad.get_size());
    slices.parts.push_back(slice);
  }
  return slices;
}

}  // namespace

Memory::desc image(const Tensor& t) {
  const Shape& s = t.shape();
  return onednn::strided({s[0], s[3], s[1], s[2]}, t.dtype(),
                         {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]});
}

Memory::desc plain_weight(int64_t out, int64_t in, int64_t k, DType dtype) {
  return onednn::strided({out, in, k, k}, dtype, {k * k * in, 1, k * in, in});
}

const ConvPlan& plan_of(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g) {
  static PlanCache<ConvPlan> plans;
  return plans.get(plan_key(pass, x, y, has_bias, g),
                   [&] { return make_plan(pass, x, y, has_bias, g); });
}

const Slices& slices_of(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g) {
  static PlanCache<Slices> slices;
  return slices.get(plan_key(pass, x, y, has_bias, g),
                    [&] { return cut(pass, x, y, has_bias, g); });
}

}  // namespace pal::cpu
