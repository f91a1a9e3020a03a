#include "autograd/norm_statistics.h"

#include "runtime/communicator/communicator.h"

namespace pal {

void measure_norm(const Tensor& x, const BatchStatistics& statistics, Communicator* ranks) {
  if (ranks == nullptr) {
    PAL_BACKEND(x, batch_norm_statistics(x, statistics));
    return;
  }
  const int64_t channels = x.channels();
  // Sums relative to the first row: nothing cancels when the mean is far from zero.
  const Tensor shift = Tensor::borrowed(x.raw(), {channels}, x.dtype(), x.device());
  const Tensor sums = Tensor::zeros({2, channels}, DType::f64, Tag::workspace, x.device());
  PAL_BACKEND(x, batch_norm_sums(x, shift, sums));
  measure_norm_of(sums, shift, x.rows(), statistics, ranks);
}

void measure_norm_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                     const BatchStatistics& statistics, Communicator* ranks) {
  if (ranks == nullptr) {
    PAL_BACKEND(sums, batch_norm_statistics_of(sums, shift, rows, statistics));
    return;
  }
  const int64_t width = 2 * shift.numel() + 1;
  const auto made = [&](const Shape& shape) {
    return Tensor::empty(shape, DType::f64, Tag::workspace, sums.device());
  };
  const Tensor part = made({width});
  const Tensor parts = made({ranks->size(), width});
  PAL_BACKEND(sums, batch_norm_part(sums, shift, rows, part));
  ranks->all_gather(part, parts);
  PAL_BACKEND(sums, batch_norm_combine(parts, statistics));
}

NormSums::NormSums(int64_t channels, Communicator* ranks)
    : ranks_(ranks), own_(Tensor::zeros({2, channels}, DType::f64, Tag::workspace)) {}

void NormSums::exchange(int64_t rows) {
  if (ranks_ == nullptr) return;
  const int64_t count = own_.numel();
  const Tensor totals = Tensor::empty({count + 1}, DType::f64, Tag::workspace);
  scaled_ = totals.view_at(0, own_.shape());
  scaled_.copy_from(own_);
  totals.view_at(count, {1}).fill(static_cast<double>(rows));
  ranks_->all_reduce(totals);
  PAL_BACKEND(totals, batch_norm_scale_sums(totals, rows));
}

void NormSums::backward_of(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                           bool relu, bool batch_statistics_used, int64_t rows,
                           const BatchNormGrads& grads) const {
  BatchNormGrads rest = grads;
  if (scaled_.defined() && (grads.weight.defined() || grads.bias.defined())) {
    PAL_BACKEND(x, batch_norm_backward_of(x, grad_y, args, relu, batch_statistics_used, own_, rows,
                                          {{}, grads.weight, grads.bias}));
    rest.weight = rest.bias = Tensor();
  }
  PAL_BACKEND(x, batch_norm_backward_of(x, grad_y, args, relu, batch_statistics_used,
                                        scaled_.defined() ? scaled_ : own_, rows, rest));
}

void synchronised_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                                const Norm& norm, const BatchNormGrads& grads) {
  NormSums sums(x.channels(), norm.ranks);
  PAL_BACKEND(x, batch_norm_backward_sums(x, grad_y, args, norm.relu, sums.own()));
  sums.exchange(x.rows());
  sums.backward_of(x, grad_y, args, norm.relu, true, x.rows(), grads);
}

}  // namespace pal
