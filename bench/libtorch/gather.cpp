#include "bench/libtorch/gather.h"

#include <torch/csrc/autograd/custom_function.h>

namespace rival {
namespace {

at::Tensor gathered(const at::Tensor& x, const at::Tensor& index) {
  return at::gather(x, x.dim() - 1, index.expand(x.sizes()));
}

struct Gather : torch::autograd::Function<Gather> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& index, const at::Tensor& inverse) {
    context->save_for_backward({inverse});
    return gathered(x, index);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    return {gathered(grads[0], context->get_saved_variables()[0]), {}, {}};
  }
};

}  // namespace

ChannelOrder::ChannelOrder(const at::Tensor& order)
    : index(order.to(at::kLong)), inverse(at::argsort(index)) {}

at::Tensor gather_last(const at::Tensor& x, const ChannelOrder& order) {
  return Gather::apply(x, order.index, order.inverse);
}

}  // namespace rival
