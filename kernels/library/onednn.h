#pragma once
// What the oneDNN-backed families share. The only header that names oneDNN's types; of other headers
// onednn_plans.h alone includes it.
#include <dnnl.hpp>
#include <unordered_map>

#include "kernels/common/backend.h"

namespace pal::onednn {

using Memory = dnnl::memory;

/// The CPU engine of this process.
dnnl::engine& engine();
/// The stream of this thread on that engine.
dnnl::stream& stream();

/// oneDNN's name of a dtype; throws usage for f64.
Memory::data_type data_type(DType dtype);

/// A descriptor of `dims` (in oneDNN's logical order) with the given strides in elements.
Memory::desc strided(const Memory::dims& dims, DType dtype, const Memory::dims& strides);

/// Attributes of all our primitives: scratch memory comes from our allocator.
dnnl::primitive_attr attributes();

// Descriptors of primitives and what those of memory hold, by version 2 of the library as by version 3,
// which names and orders them differently.

/// A convolution of x, or the gradients of that convolution.
struct Convolution {
  Memory::desc x, weight, bias, y;  ///< bias: empty for none
  Memory::dims strides, padding, padding_right;
};
using ForwardDescriptor = dnnl::convolution_forward::primitive_desc;
ForwardDescriptor describe_forward(const Convolution& conv, const dnnl::primitive_attr& attr);
dnnl::convolution_backward_data::primitive_desc describe_backward_data(
    const Convolution& conv, const dnnl::primitive_attr& attr, const ForwardDescriptor& forward);
dnnl::convolution_backward_weights::primitive_desc describe_backward_weights(
    const Convolution& conv, const dnnl::primitive_attr& attr, const ForwardDescriptor& forward);

/// c = a b + bias, the bias empty for none.
dnnl::matmul::primitive_desc describe_product(const Memory::desc& a, const Memory::desc& b,
                                              const Memory::desc& bias, const Memory::desc& c,
                                              const dnnl::primitive_attr& attr);

/// The tensor of a descriptor in a layout of the library's choice.
Memory::desc in_any_layout(const Memory::desc& desc);
Memory::data_type data_type_of(const Memory::desc& desc);

/// Executes a primitive whose arguments hold its scratch memory, if any, and waits for it.
void execute(const dnnl::primitive& primitive, const std::unordered_map<int, Memory>& arguments);
/// The same with scratch memory of the size of `scratchpad` made for it.
void execute(const dnnl::primitive& primitive, const Memory::desc& scratchpad,
             std::unordered_map<int, Memory> arguments);

/// Returns body(), turning a oneDNN error into an Error (failure) that names the op.
template <typename Body>
auto wrapped(const char* op, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    fail(ErrorKind::failure, "{}: oneDNN: {} (status {})", op, error.message,
         static_cast<int>(error.status));
  }
}

}  // namespace pal::onednn
