#include "kernels/library/cudnn_plans.cuh"

#include <fmt/core.h>

#include <algorithm>

namespace pal::cudnn {
namespace {

cudnnDataType_t data_type(DType dtype) {
  return dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

Descriptor tensor(int64_t id, DType dtype, const std::vector<int64_t>& dimensions,
                  const std::vector<int64_t>& strides) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(dtype));
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dimensions);
  d.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
  d.finalize();
  return d;
}

/// Our [a, height, width, c] in cuDNN's logical order a, c, height, width: images and weights.
Descriptor channels_last(int64_t id, DType dtype, const Shape& s) {
  return tensor(id, dtype, {s[0], s[3], s[1], s[2]}, {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]});
}

Descriptor convolution(const ConvGeometry& g) {
  const std::vector<int64_t> padding(2, g.padding);
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  d.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  d.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, padding);
  d.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, padding);
  d.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::vector<int64_t>(2, g.stride));
  d.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<int64_t>(2, 1));
  d.finalize();
  return d;
}

/// The attributes of one pass's operation.
struct Names {
  const char* text;
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, weight, y, convolution, alpha, beta;
};
const Names& names_of(Pass pass) {
  static constexpr Names kNames[] = {
      {"conv_forward", CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {"conv_backward_data", CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {"conv_backward_weight", CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
  return kNames[static_cast<int64_t>(pass)];
}

Descriptor operation_graph(const Problem& p, const Target& target) {
  const auto dtype_in = [&](Pass writer) { return p.pass == writer ? p.result : p.dtype; };
  const Descriptor x = channels_last(kX, dtype_in(Pass::backward_data), p.x);
  const Descriptor y = channels_last(kY, dtype_in(Pass::forward), p.y);
  const Descriptor weight =
      channels_last(kWeight, dtype_in(Pass::backward_weight),
                    {p.y.last(), p.geometry.kernel, p.geometry.kernel, p.x.last()});
  const Descriptor conv = convolution(p.geometry);
  const Names& names = names_of(p.pass);
  Descriptor operation(names.operation);
  operation.set(names.x, x);
  operation.set(names.weight, weight);
  operation.set(names.y, y);
  operation.set(names.convolution, conv);
  // Results are overwritten; what is to be added to is added by a kernel of our own.
  operation.set(names.alpha, 1.0F);
  operation.set(names.beta, 0.0F);
  operation.finalize();
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  if (target.handle != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle);
  graph.finalize();
  return graph;
}

/// Whether an engine with these properties computes what is asked for. TENSOR_CORE on f32 operands
/// means that they are rounded to TF32; DOWN_CONVERT_INPUTS, to something narrower still.
bool acceptable(const std::vector<cudnnBackendNumericalNote_t>& notes, const Problem& p) {
  return std::none_of(notes.begin(), notes.end(), [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        return !p.allow_nondeterministic;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        return p.dtype == DType::f32 && !p.tf32;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        return true;
      default:
        return false;
    }
  });
}

std::string name_of(const Descriptor& config, const Descriptor& engine) {
  std::string name = fmt::format("engine {}", engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  for (const Descriptor& knob : config.get_descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                                       CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR))
    name += fmt::format(
        " {}={}",
        static_cast<int>(knob.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
        knob.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  return name;
}

/// Whether an engine of that name is what a choice names: it, or an engine by its number alone, as
/// choices were noted that did not know of settings.
bool is_called(const std::string& name, const std::string& choice) {
  return name == choice ||
         (choice.find('=') == std::string::npos && name.starts_with(choice + " "));
}

/// The engines that one of the library's heuristics proposes, best first.
std::vector<Descriptor> proposals(cudnnBackendHeurMode_t mode, const Descriptor& graph,
                                  const Target& target, std::string* why) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
#if CUDNN_VERSION >= 90800
  if (target.device != nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.device);
#endif
  const cudnnStatus_t status = heuristics.try_finalize();
  if (status != CUDNN_STATUS_SUCCESS) {
    *why = describe(status);
    return {};
  }
  return heuristics.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                    CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

/// Calls visit(config, name) for the engines that may compute a problem, best first, each once,
/// until it says that this was the last.
template <typename Visit>
void for_engines(const Problem& problem, const Target& target, std::string* why, Visit&& visit) {
  *why = "it proposes no engine";
  const Descriptor graph = operation_graph(problem, target);
  std::vector<std::string> seen;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK})
    for (const Descriptor& config : proposals(mode, graph, target, why)) {
      const std::vector<Descriptor> engine =
          config.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
      if (engine.empty()) continue;
      if (!acceptable(engine[0].get_all<cudnnBackendNumericalNote_t>(
                          CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT),
                      problem)) {
        *why = "its engines are not exact enough or have no fixed order of sums";
        continue;
      }
      std::string name = name_of(config, engine[0]);
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
      seen.push_back(name);
      if (visit(config, std::move(name))) return;
    }
}

}  // namespace

std::vector<int64_t> Problem::key() const {
  return {static_cast<int64_t>(pass),
          x[0],
          x[1],
          x[2],
          x[3],
          y[3],
          geometry.kernel,
          geometry.stride,
          geometry.padding,
          static_cast<int64_t>(dtype),
          static_cast<int64_t>(result),
          tf32,
          allow_nondeterministic};
}

std::string Problem::text() const {
  return fmt::format("{} {}{} {} k{} s{} p{} {}->{}{}{}", names_of(pass).text, pal::name_of(dtype),
                     dtype == DType::f32 && tf32 ? " tf32" : "", x.str(), geometry.kernel,
                     geometry.stride, geometry.padding, x.last(), y.last(),
                     result == dtype ? "" : " into f32",
                     allow_nondeterministic ? " in any order" : "");
}

void each_plan(const Problem& problem, const Target& target, const std::optional<std::string>& only,
               std::string* why, const std::function<bool(Plan)>& visit) {
  for_engines(problem, target, why, [&](const Descriptor& config, std::string name) {
    if (only && !is_called(name, *only)) return false;
    // Asked of the engine first: making a plan may mean compiling kernels.
    const auto bytes = config.try_get<int64_t>(CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE);
    if (!bytes || *bytes > target.most_workspace) {
      *why = bytes ? fmt::format("it wants {} bytes of scratch memory", *bytes)
                   : "it does not know its scratch memory";
      return false;
    }
    Plan plan;
    plan.descriptor = Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.descriptor.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
#if CUDNN_VERSION >= 90800
    if (target.device != nullptr)
      plan.descriptor.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.device);
#endif
    const cudnnStatus_t status = plan.descriptor.try_finalize();
    if (status != CUDNN_STATUS_SUCCESS) {
      *why = describe(status);
      return false;
    }
    plan.workspace = plan.descriptor.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    plan.engine = std::move(name);
    return visit(std::move(plan));
  });
}

int64_t images_at_a_time(const Problem& problem, const Target& target) {
  const auto best_wants = [&](int64_t count) {
    int64_t bytes = 0;
    std::string ignored;
    for_engines(with_images(problem, count), target, &ignored,
                [&](const Descriptor& config, const std::string&) {
                  const auto wants = config.try_get<int64_t>(CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE);
                  bytes = wants.value_or(0);
                  return wants.has_value();
                });
    return bytes;
  };
  int64_t count = problem.x[0];
  while (count > 1 && best_wants(count) > target.most_workspace) {
    count = (count + 1) / 2;
    // Eight images of any size and dtype end at an aligned address.
    if (count > 8) count = (count + 7) / 8 * 8;
  }
  return count;
}

Problem with_images(const Problem& problem, int64_t count) {
  Problem p = problem;
  p.x = {count, p.x[1], p.x[2], p.x[3]};
  p.y = {count, p.y[1], p.y[2], p.y[3]};
  return p;
}

}  // namespace pal::cudnn
