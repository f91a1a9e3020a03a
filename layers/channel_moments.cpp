#include "layers/channel_moments.h"

#include "kernels/arrays/host_values.h"
#include "kernels/norm/batch_norm.h"

namespace pal {

void ChannelMoments::add(const Tensor& x) {
  const DeviceScope device(x.device());
  const Tensor mean = Tensor::empty({x.channels()}, x.dtype(), Tag::workspace);
  const Tensor variance = Tensor::empty({x.channels()}, x.dtype(), Tag::workspace);
  PAL_BACKEND(x, batch_statistics(x, mean, variance));
  const std::vector<double> means = host_values(mean);
  const std::vector<double> variances = host_values(variance);
  const auto rows = static_cast<double>(x.rows());
  if (rows_ == 0.0) {
    mean_ = means;
    variance_ = variances;
    rows_ = rows;
    return;
  }
  expect(means.size() == mean_.size(), "channel moments: expected {} channels, got {}",
         mean_.size(), means.size());
  // Chan, Golub and LeVeque 1979: the spread of the two means belongs to the variance of both.
  const double share = rows / (rows_ + rows);
  for (size_t c = 0; c < mean_.size(); ++c) {
    const double step = means[c] - mean_[c];
    mean_[c] += share * step;
    variance_[c] += share * (variances[c] - variance_[c]) + share * (1.0 - share) * step * step;
  }
  rows_ += rows;
}

std::vector<int64_t> constant_channels(const Tensor& images) {
  expect(images.rank() == 4 && images.dtype() == DType::f32,
         "constant_channels: expected images [n, h, w, c] of f32, got {} of {}",
         images.shape().str(), name_of(images.dtype()));
  const Tensor host = images.to(Device()).dense();
  const int64_t channels = host.channels();
  const float* const values = host.data<float>();
  std::vector<int64_t> constant;
  for (int64_t c = 0; c < channels; ++c) {
    int64_t row = 1;
    while (row < host.rows() && values[row * channels + c] == values[c]) ++row;
    if (row >= host.rows()) constant.push_back(c);
  }
  return constant;
}

}  // namespace pal
