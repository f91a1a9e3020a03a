#include "layers/act_norm_table.h"

#include <cmath>
#include <limits>

#include "kernels/arrays/host_values.h"
#include "kernels/mixing/permutation.h"
#include "runtime/error.h"

namespace pal {

void ActNormTable::lay_out(const Tensor& values) {
  values_ = values;
  of_each_.clear();
  std::vector<int32_t> segments;
  int64_t total = 0;
  for (const ActNorm* act_norm : act_norms_) {
    const Tensor& gamma = act_norm->gamma();
    const int64_t first =
        (static_cast<const char*>(gamma.raw()) - static_cast<const char*>(values.raw())) /
        size_of(values.dtype());
    expect(first + gamma.numel() <= std::numeric_limits<int32_t>::max(),
           "act norms: no kernel for {} parameters", values.numel());
    for (const int64_t number : {first, total, gamma.numel()})
      segments.push_back(static_cast<int32_t>(number));
    total += gamma.numel();
  }
  const auto count = static_cast<int64_t>(act_norms_.size());
  segments_ = index_tensor(segments).reshape({count, 3}).to(values.device(), Tag::parameters);
  scales_ = Tensor::empty({total}, values.dtype(), Tag::parameters, values.device());
  log_scale_sums_ = Tensor::empty({count}, DType::f64, Tag::parameters, values.device());
  int64_t at = 0;
  for (const ActNorm* act_norm : act_norms_) {
    const Shape& shape = act_norm->gamma().shape();
    of_each_.push_back({scales_.view_at(at, shape), act_norm->offset(),
                        log_scale_sums_.view_at(static_cast<int64_t>(of_each_.size()), {1})});
    at += shape.numel();
  }
}

void ActNormTable::work_out(const Tensor& values) {
  if (!values_.defined() || values_.raw() != values.raw()) lay_out(values);
  PAL_BACKEND(values,
              act_norm_scales(values, segments_, act_norms_[0]->kind(), scales_, log_scale_sums_));
}

void ActNormTable::evaluate(const Tensor& values) {
  if (act_norms_.empty() || values.device().meta) return;
  work_out(values);
  for (size_t i = 0; i < act_norms_.size(); ++i) act_norms_[i]->set_values(of_each_[i]);
}

void ActNormTable::expect_positive(const Tensor& values, const std::string& when) {
  if (act_norms_.empty()) return;
  work_out(values);
  const std::vector<double> sums = host_values(log_scale_sums_);
  for (size_t i = 0; i < sums.size(); ++i)
    if (!std::isfinite(sums[i]))
      fail(ErrorKind::numerics, "{}: {}: not all scales are positive and finite", when,
           act_norms_[i]->name());
}

}  // namespace pal
