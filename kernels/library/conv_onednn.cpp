#include "kernels/arrays/reduce.h"
#include "kernels/library/conv_check.h"
#include "kernels/library/conv_gemm.h"
#include "kernels/library/double_reference.h"
#include "kernels/library/gemm_bias.h"
#include "kernels/library/onednn.h"
#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "kernels/library/weight_shadow.h"
#include "runtime/profiler.h"

// Convolutions on the CPU: by oneDNN, or as products of matrices where conv_gemm.h says so.
//
// A pass's plan, a primitive and the layouts it wants, is made once per shape (plan_of). Images
// stay in our layout, but are copied for a gradient of the weights in blocks. Weights come from
// their shadow, a copy per layout that is renewed when their version changes. The gradient of the
// weights is made in the library's layout, then added to ours by a reordering that accumulates.
namespace pal::cpu {
namespace {

using onednn::Memory;

/// The weights' copies, one per layout in use (forward and backward-data want different ones).
struct LayoutCopies final : WeightShadow::Impl {
  struct Copy {
    Memory::desc desc;
    Tensor storage;
    uint64_t version = 0;
  };
  std::vector<Copy> copies;
};

Peak peak_of(DType dtype) { return dtype == DType::bf16 ? Peak::bf16 : Peak::f32; }

/// A pass as a primitive of the library, and the layouts that it wants.
struct ConvPlan {
  dnnl::primitive primitive;
  Memory::desc x, weight, y, bias, scratchpad;
};

/// Our image [n, h, w, c] in oneDNN's logical order n, c, h, w.
Memory::desc image(const Tensor& t) {
  const Shape& s = t.shape();
  return onednn::strided({s[0], s[3], s[1], s[2]}, t.dtype(),
                         {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]});
}

/// The tensor of a descriptor in a layout of the library's choice.
Memory::desc any_layout(const Memory::desc& desc) {
  return {desc.dims(), static_cast<Memory::data_type>(desc.data.data_type),
          Memory::format_tag::any};
}

/// Our plain weights [out, k, k, in] in oneDNN's logical order out, in, k, k.
Memory::desc plain_weight(int64_t out, int64_t in, int64_t k, DType dtype) {
  return onednn::strided({out, in, k, k}, dtype, {k * k * in, 1, k * in, in});
}

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
  using Prop = dnnl::prop_kind;
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
  const Memory::dims strides = {g.stride, g.stride};
  const Memory::dims padding = {g.padding, g.padding};
  // The right padding that makes (size + left + right - k) / stride exact.
  const auto right = [&](int64_t in, int64_t out) {
    return (out - 1) * g.stride + g.kernel - in - g.padding;
  };
  const Memory::dims padding_r = {right(x.size(1), y.size(1)), right(x.size(2), y.size(2))};
  const bool blocks =
      pass == ConvPass::weight && conv_gradient_in_blocks(x.dtype(), x.size(1), x.channels(), g);
  const Memory::desc x_desc = blocks ? any_layout(image(x)) : image(x);
  const Memory::desc y_desc = blocks ? any_layout(image(y)) : image(y);
  const Memory::desc w_any = any_weight(y.channels(), x.channels(), g.kernel, x.dtype());
  const Memory::desc bias({y.channels()}, Memory::data_type::f32, Memory::format_tag::a);
  auto& engine = onednn::engine();
  const dnnl::convolution_forward::desc forward_desc =
      has_bias ? dnnl::convolution_forward::desc(Prop::forward_training, kAlgorithm, x_desc, w_any,
                                                 bias, y_desc, strides, padding, padding_r)
               : dnnl::convolution_forward::desc(Prop::forward_training, kAlgorithm, x_desc, w_any,
                                                 y_desc, strides, padding, padding_r);
  const dnnl::convolution_forward::primitive_desc forward(forward_desc, onednn::attributes(),
                                                          engine);
  ConvPlan plan;
  plan.x = x_desc;
  plan.y = y_desc;
  plan.bias = bias;
  if (pass == ConvPass::forward) {
    plan.weight = forward.weights_desc();
    plan.primitive = dnnl::convolution_forward(forward);
    finish_plan(plan, forward, "conv_forward", x, y, g);
    return plan;
  }
  if (pass == ConvPass::data) {
    const dnnl::convolution_backward_data::primitive_desc backward(
        dnnl::convolution_backward_data::desc(kAlgorithm, x_desc, w_any, y_desc, strides, padding,
                                              padding_r),
        onednn::attributes(), engine, forward);
    plan.weight = backward.weights_desc();
    plan.primitive = dnnl::convolution_backward_data(backward);
    finish_plan(plan, backward, "conv_backward_data", x, y, g);
    return plan;
  }
  const Memory::desc gw_any = any_weight(y.channels(), x.channels(), g.kernel, DType::f32);
  const auto backward_desc =
      has_bias ? dnnl::convolution_backward_weights::desc(kAlgorithm, x_desc, gw_any, bias, y_desc,
                                                          strides, padding, padding_r)
               : dnnl::convolution_backward_weights::desc(kAlgorithm, x_desc, gw_any, y_desc,
                                                          strides, padding, padding_r);
  const dnnl::convolution_backward_weights::primitive_desc backward(
      backward_desc, onednn::attributes(), engine, forward);
  plan.x = backward.src_desc();
  plan.y = backward.diff_dst_desc();
  plan.weight = backward.diff_weights_desc();
  plan.primitive = dnnl::convolution_backward_weights(backward);
  finish_plan(plan, backward, "conv_backward_weight", x, y, g);
  return plan;
}

const ConvPlan& plan_of(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g) {
  static PlanCache<ConvPlan> plans;
  return plans.get(
      {static_cast<int64_t>(pass), x.size(0), x.size(1), x.size(2), x.size(3), y.size(3), g.kernel,
       g.stride, g.padding, has_bias, static_cast<int64_t>(x.dtype())},
      [&] { return make_plan(pass, x, y, has_bias, g); });
}

/// Reorders between two layouts, adding to the target if asked.
void reorder(const Memory& from, const Memory& to, bool accumulate) {
  dnnl::primitive_attr attr = onednn::attributes();
  if (accumulate) {
    dnnl::post_ops post;
    post.append_sum(1.0F);
    attr.set_post_ops(post);
  }
  const dnnl::reorder::primitive_desc descriptor(from, to, attr);
  onednn::execute(dnnl::reorder(descriptor), descriptor.scratchpad_desc(),
                  {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

/// The weights in the layout `wanted`: the plain tensor itself or its up-to-date shadow.
Memory shadowed(const Tensor& weight, WeightShadow& shadow, const Memory::desc& wanted,
                const ConvGeometry& g) {
  auto& engine = onednn::engine();
  const Memory plain(plain_weight(weight.size(0), weight.channels(), g.kernel, weight.dtype()),
                     engine, weight.raw());
  if (plain.get_desc() == wanted) return plain;
  auto& copies = copies_of<LayoutCopies>(shadow).copies;
  LayoutCopies::Copy* copy = nullptr;
  for (auto& candidate : copies)
    if (candidate.desc == wanted) copy = &candidate;
  if (copy == nullptr) {
    copies.push_back(
        {wanted,
         Tensor::empty({static_cast<int64_t>(wanted.get_size())}, DType::u8, Tag::parameters), 0});
    copy = &copies.back();
  }
  const Memory target(wanted, engine, copy->storage.raw());
  if (copy->version != shadow.version) {
    const ProfileScope profile("conv_weight_shadow", 2 * weight.bytes());
    reorder(plain, target, false);
    copy->version = shadow.version;
  }
  return target;
}

// 1x1 convolutions as products of matrices.

Tensor as_matrix(const Tensor& t) { return t.reshape({t.rows(), t.channels()}); }

/// The weights as a matrix [out, in] of the given dtype.
Tensor weight_matrix(const Tensor& weight, WeightShadow& shadow, DType dtype,
                     const ConvGeometry& g) {
  const Shape shape = {weight.size(0), weight.channels()};
  const Memory memory =
      shadowed(weight, shadow, plain_weight(shape[0], shape[1], g.kernel, dtype), g);
  return Tensor::borrowed(memory.get_data_handle(), shape, dtype, Device());
}

ConvByGemm by_gemm(const Tensor& x, const Tensor& y, const ConvGeometry& g) {
  return conv_by_gemm(x.rows(), x.channels(), y.channels(), g);
}

/// An image in the layout of a plan: itself or a copy, which lives in `storage`.
Memory image_as(const Memory::desc& wanted, const Tensor& t, Tensor& storage) {
  auto& engine = onednn::engine();
  const Memory own(image(t), engine, t.raw());
  if (own.get_desc() == wanted) return own;
  storage =
      Tensor::empty({static_cast<int64_t>(wanted.get_size())}, DType::u8, Tag::workspace, Device());
  const Memory copy(wanted, engine, storage.raw());
  reorder(own, copy, false);
  return copy;
}

}  // namespace

int64_t conv_scratch(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                     const ConvGeometry& g) {
  const ConvByGemm gemm = by_gemm(x, y, g);
  if (x.dtype() == DType::f64 || (pass == ConvPass::weight ? gemm.weight_gradient : gemm.passes))
    return 0;
  try {
    const ConvPlan& plan = plan_of(pass, x, y, has_bias, g);
    auto bytes = static_cast<int64_t>(plan.scratchpad.get_size());
    if (pass != ConvPass::weight) return bytes;
    bytes += static_cast<int64_t>(plan.weight.get_size());
    if (plan.x != image(x)) bytes += static_cast<int64_t>(plan.x.get_size());
    if (plan.y != image(y)) bytes += static_cast<int64_t>(plan.y.get_size());
    return bytes;
  } catch (const dnnl::error&) {
    return 0;
  }
}

void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                  WeightShadow& shadow, const Tensor& y) {
  check_convolution("conv_forward", x, weight, bias, y, g);
  const ProfileScope profile(g.kernel == 1 ? "conv1x1_forward" : "conv_forward",
                             x.bytes() + y.bytes() + weight.bytes(), convolution_flops(y, weight),
                             peak_of(x.dtype()));
  if (x.dtype() == DType::f64) {
    expect(double_reference().conv_forward != nullptr, "conv_forward: f64 is for test builds only");
    return double_reference().conv_forward(x, weight, bias, g, y);
  }
  if (by_gemm(x, y, g).passes)
    return gemm_bias(as_matrix(x), weight_matrix(weight, shadow, x.dtype(), g), bias, as_matrix(y),
                     {.transpose_b = true});
  onednn::wrapped("conv_forward", [&] {
    const ConvPlan& plan = plan_of(ConvPass::forward, x, y, bias.defined(), g);
    auto& engine = onednn::engine();
    std::unordered_map<int, Memory> arguments = {
        {DNNL_ARG_SRC, Memory(plan.x, engine, x.raw())},
        {DNNL_ARG_WEIGHTS, shadowed(weight, shadow, plan.weight, g)},
        {DNNL_ARG_DST, Memory(plan.y, engine, y.raw())}};
    if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, Memory(plan.bias, engine, bias.raw()));
    onednn::execute(plan.primitive, plan.scratchpad, std::move(arguments));
  });
}

void conv_backward_data(const Tensor& grad_y, const Tensor& weight, const ConvGeometry& g,
                        WeightShadow& shadow, const Tensor& grad_x) {
  check_convolution("conv_backward_data", grad_x, weight, {}, grad_y, g);
  const ProfileScope profile(g.kernel == 1 ? "conv1x1_backward_data" : "conv_backward_data",
                             grad_x.bytes() + grad_y.bytes() + weight.bytes(),
                             convolution_flops(grad_y, weight), peak_of(grad_x.dtype()));
  if (grad_x.dtype() == DType::f64) {
    expect(double_reference().conv_backward_data != nullptr,
           "conv_backward_data: f64 is for test builds only");
    return double_reference().conv_backward_data(grad_y, weight, g, grad_x);
  }
  if (by_gemm(grad_x, grad_y, g).passes)
    return gemm_bias(as_matrix(grad_y), weight_matrix(weight, shadow, grad_x.dtype(), g), {},
                     as_matrix(grad_x), {});
  onednn::wrapped("conv_backward_data", [&] {
    const ConvPlan& plan = plan_of(ConvPass::data, grad_x, grad_y, false, g);
    auto& engine = onednn::engine();
    onednn::execute(plan.primitive, plan.scratchpad,
                    {{DNNL_ARG_DIFF_DST, Memory(plan.y, engine, grad_y.raw())},
                     {DNNL_ARG_WEIGHTS, shadowed(weight, shadow, plan.weight, g)},
                     {DNNL_ARG_DIFF_SRC, Memory(plan.x, engine, grad_x.raw())}});
  });
}

void conv_backward_weight(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                          const Tensor& grad_weight, const Tensor& grad_bias) {
  check_convolution("conv_backward_weight", x, grad_weight, grad_bias, grad_y, g);
  const ProfileScope profile(g.kernel == 1 ? "conv1x1_backward_weight" : "conv_backward_weight",
                             x.bytes() + grad_y.bytes() + grad_weight.bytes(),
                             convolution_flops(grad_y, grad_weight), peak_of(x.dtype()));
  if (x.dtype() == DType::f64) {
    expect(double_reference().conv_backward_weight != nullptr,
           "conv_backward_weight: f64 is for test builds only");
    return double_reference().conv_backward_weight(x, grad_y, g, grad_weight, grad_bias);
  }
  if (by_gemm(x, grad_y, g).weight_gradient) {
    gemm_bias(as_matrix(grad_y), as_matrix(x), {},
              grad_weight.reshape({grad_weight.size(0), grad_weight.channels()}),
              {.transpose_a = true, .accumulate = true});
    if (grad_bias.defined()) channel_sums(grad_y, grad_bias);
    return;
  }
  onednn::wrapped("conv_backward_weight", [&] {
    const ConvPlan& plan = plan_of(ConvPass::weight, x, grad_y, grad_bias.defined(), g);
    auto& engine = onednn::engine();
    const Tensor local = Tensor::empty({static_cast<int64_t>(plan.weight.get_size())}, DType::u8,
                                       Tag::workspace, Device());
    const Memory local_weight(plan.weight, engine, local.raw());
    Tensor x_copy;
    Tensor grad_y_copy;
    std::unordered_map<int, Memory> arguments = {
        {DNNL_ARG_SRC, image_as(plan.x, x, x_copy)},
        {DNNL_ARG_DIFF_DST, image_as(plan.y, grad_y, grad_y_copy)},
        {DNNL_ARG_DIFF_WEIGHTS, local_weight}};
    Tensor local_bias;
    if (grad_bias.defined()) {
      local_bias = Tensor::empty(grad_bias.shape(), DType::f32, Tag::workspace, Device());
      arguments.emplace(DNNL_ARG_DIFF_BIAS, Memory(plan.bias, engine, local_bias.raw()));
    }
    onednn::execute(plan.primitive, plan.scratchpad, std::move(arguments));
    reorder(local_weight,
            Memory(plain_weight(grad_weight.size(0), grad_weight.channels(), g.kernel, DType::f32),
                   engine, grad_weight.raw()),
            true);
    if (grad_bias.defined())
      for (int64_t i = 0; i < grad_bias.numel(); ++i)
        grad_bias.data<float>()[i] += local_bias.data<float>()[i];
  });
}

}  // namespace pal::cpu
