#include "kernels/library/conv_library.h"

#include "kernels/library/onednn_plans.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

// Images stay in our layout, but are copied for a gradient of the weights in blocks. Weights come from
// their shadow, a copy per layout that is renewed when their version changes. The gradient of the weights
// is made in the library's layout, then added to ours by a reordering that accumulates.
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

/// Reorders between two layouts, adding to the target if asked: by the active threads, as the bits do
/// not depend on their number.
void reorder(const Memory& from, const Memory& to, bool accumulate) {
  const ThreadScope active(active_threads());
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

Memory::desc plain_layout(const Tensor& weight, DType dtype, const ConvGeometry& g) {
  return plain_weight(weight.size(0), weight.channels(), g.kernel, dtype);
}

/// The weights' copy in a layout, made without values if there is none. On the device of the weights,
/// which may be a meta device.
LayoutCopies::Copy& copy_in(const Memory::desc& wanted, const Tensor& weight,
                            WeightShadow& shadow) {
  auto& copies = copies_of<LayoutCopies>(shadow).copies;
  for (auto& candidate : copies)
    if (candidate.desc == wanted) return candidate;
  const auto bytes = static_cast<int64_t>(wanted.get_size());
  copies.push_back(
      {wanted, Tensor::empty({bytes}, DType::u8, Tag::parameters, weight.device()), 0});
  return copies.back();
}

/// The weights in the layout `wanted`: the plain tensor itself or its up-to-date shadow.
Memory shadowed(const Tensor& weight, WeightShadow& shadow, const Memory::desc& wanted,
                const ConvGeometry& g) {
  auto& engine = onednn::engine();
  const Memory plain(plain_layout(weight, weight.dtype(), g), engine, weight.raw());
  if (plain.get_desc() == wanted) return plain;
  LayoutCopies::Copy& copy = copy_in(wanted, weight, shadow);
  const Memory target(wanted, engine, copy.storage.raw());
  if (copy.version != shadow.version) {
    const ProfileScope profile("conv_weight_shadow", 2 * weight.bytes());
    reorder(plain, target, false);
    copy.version = shadow.version;
  }
  return target;
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

// Passes in slices of the images (onednn_plans.h).

using Arguments = std::unordered_map<int, Memory>;

/// The images of a slice.
Memory images_of(const Slice& slice, const Memory::desc& desc, const Tensor& t) {
  auto* const first = static_cast<std::byte*>(t.raw());
  return {desc, onednn::engine(), first + slice.begin * (t.bytes() / t.size(0))};
}

/// Executes each slice's plan with arguments(slice, workspace). Returns the workspace.
template <typename Make>
Tensor run_slices(const Slices& slices, const Make& arguments) {
  const Tensor workspace = Tensor::empty({slices.workspace}, DType::u8, Tag::workspace, Device());
  parallel_for(static_cast<int64_t>(slices.parts.size()), 1, [&](int64_t begin, int64_t end) {
    const ThreadScope one(1);
    auto* const memory = workspace.data<uint8_t>();
    for (int64_t i = begin; i < end; ++i) {
      const Slice& slice = slices.parts[static_cast<size_t>(i)];
      const ConvPlan& plan = *slice.plan;
      Arguments all = arguments(slice, memory);
      if (plan.scratchpad.get_size() > 0)
        all.emplace(DNNL_ARG_SCRATCHPAD,
                    Memory(plan.scratchpad, onednn::engine(), memory + slice.scratchpad));
      onednn::execute(plan.primitive, all);
    }
  });
  return workspace;
}

// Gradients of the weights.

/// Adds the gradient of weights and bias that lies in a library's layout.
void add_gradient(const Memory& weight, const float* bias, const ConvGeometry& g,
                  const Tensor& grad_weight, const Tensor& grad_bias) {
  reorder(weight,
          Memory(plain_weight(grad_weight.size(0), grad_weight.channels(), g.kernel, DType::f32),
                 onednn::engine(), grad_weight.raw()),
          true);
  if (grad_bias.defined())
    for (int64_t i = 0; i < grad_bias.numel(); ++i) grad_bias.data<float>()[i] += bias[i];
}

/// The gradient by one thread for each slice; the sums in the order of the slices.
void weight_gradient_in_slices(const Slices& slices, const Tensor& x, const Tensor& grad_y,
                               const ConvGeometry& g, const Tensor& grad_weight,
                               const Tensor& grad_bias) {
  auto& engine = onednn::engine();
  const Tensor workspace = run_slices(slices, [&](const Slice& slice, uint8_t* memory) {
    const ConvPlan& plan = *slice.plan;
    Arguments all = {{DNNL_ARG_SRC, images_of(slice, plan.x, x)},
                     {DNNL_ARG_DIFF_DST, images_of(slice, plan.y, grad_y)},
                     {DNNL_ARG_DIFF_WEIGHTS, Memory(plan.weight, engine, memory + slice.weight)}};
    if (grad_bias.defined())
      all.emplace(DNNL_ARG_DIFF_BIAS, Memory(plan.bias, engine, memory + slice.bias));
    return all;
  });
  const auto values = [&](int64_t offset) {
    return reinterpret_cast<float*>(workspace.data<uint8_t>() + offset);
  };
  // Those of one layout (of slices of one size) are added up in it: one reordering for all.
  const Slice* sum = nullptr;
  const auto add_sum = [&] {
    add_gradient(Memory(sum->plan->weight, engine, values(sum->weight)), values(sum->bias), g,
                 grad_weight, grad_bias);
  };
  for (const Slice& part : slices.parts) {
    if (sum == nullptr || part.plan != sum->plan) {
      if (sum != nullptr) add_sum();
      sum = &part;
      continue;
    }
    const auto add = [&](int64_t to, int64_t from, size_t bytes) {
      float* const into = values(to);
      const float* const more = values(from);
      for (size_t i = 0; i < bytes / sizeof(float); ++i) into[i] += more[i];
    };
    add(sum->weight, part.weight, part.plan->weight.get_size());
    if (grad_bias.defined()) add(sum->bias, part.bias, part.plan->bias.get_size());
  }
  add_sum();
}

}  // namespace

Tensor weight_matrix(const Tensor& weight, WeightShadow& shadow, DType dtype) {
  const Shape shape = {weight.size(0), weight.channels()};
  const Memory memory = shadowed(weight, shadow, plain_layout(weight, dtype, {}), {});
  return Tensor::borrowed(memory.get_data_handle(), shape, dtype, Device());
}

void library_pass(ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const ConvGeometry& g, WeightShadow& shadow, const Tensor& y) {
  auto& engine = onednn::engine();
  const int x_name = pass == ConvPass::forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_SRC;
  const int y_name = pass == ConvPass::forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
  const auto weights_for = [&](const ConvPlan& plan) {
    return shadowed(weight, shadow, plan.weight, g);
  };
  const Slices& slices = slices_of(pass, x, y, bias.defined(), g);
  if (slices.parts.empty()) {
    const ConvPlan& plan = plan_of(pass, x, y, bias.defined(), g);
    Arguments all = {{x_name, Memory(plan.x, engine, x.raw())},
                     {y_name, Memory(plan.y, engine, y.raw())},
                     {DNNL_ARG_WEIGHTS, weights_for(plan)}};
    if (bias.defined()) all.emplace(DNNL_ARG_BIAS, Memory(plan.bias, engine, bias.raw()));
    return onednn::execute(plan.primitive, plan.scratchpad, std::move(all));
  }
  // Before the threads read them.
  std::vector<Memory> weights;
  for (const Slice& slice : slices.parts) weights.push_back(weights_for(*slice.plan));
  run_slices(slices, [&](const Slice& slice, uint8_t*) {
    const ConvPlan& plan = *slice.plan;
    Arguments all = {
        {x_name, images_of(slice, plan.x, x)},
        {y_name, images_of(slice, plan.y, y)},
        {DNNL_ARG_WEIGHTS, weights[static_cast<size_t>(&slice - slices.parts.data())]}};
    if (bias.defined()) all.emplace(DNNL_ARG_BIAS, Memory(plan.bias, engine, bias.raw()));
    return all;
  });
}

void library_weight_gradient(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                             const Tensor& grad_weight, const Tensor& grad_bias) {
  const Slices& slices = slices_of(ConvPass::weight, x, grad_y, grad_bias.defined(), g);
  if (!slices.parts.empty())
    return weight_gradient_in_slices(slices, x, grad_y, g, grad_weight, grad_bias);
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
  add_gradient(local_weight, grad_bias.defined() ? local_bias.data<float>() : nullptr, g,
               grad_weight, grad_bias);
}

int64_t library_scratch(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g) {
  try {
    const Slices& slices = slices_of(pass, x, y, has_bias, g);
    if (!slices.parts.empty()) return slices.workspace;
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

void plan_copies(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                 const ConvGeometry& g, const Tensor& weight, WeightShadow& shadow) {
  if (x.dtype() == DType::f64 || pass == ConvPass::weight) return;
  const ConvWay way = conv_way(pass, x, y, g);
  if (way == ConvWay::winograd || way == ConvWay::blocked) return;
  const auto plan_one = [&](const Memory::desc& wanted) {
    if (wanted != plain_layout(weight, weight.dtype(), g)) copy_in(wanted, weight, shadow);
  };
  if (way == ConvWay::product) return plan_one(plain_layout(weight, x.dtype(), g));
  try {
    const Slices& slices = slices_of(pass, x, y, has_bias, g);
    for (const Slice& slice : slices.parts) plan_one(slice.plan->weight);
    if (slices.parts.empty()) plan_one(plan_of(pass, x, y, has_bias, g).weight);
  } catch (const dnnl::error&) {
    // What the processor cannot do is refused where it is done.
  }
}

}  // namespace pal::cpu
