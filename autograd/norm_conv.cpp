#include "autograd/norm_conv.h"

#include <algorithm>

#include "autograd/conv_passes.h"
#include "autograd/norm_statistics.h"

namespace pal {
namespace {

Tensor normalised(const Tensor& x, const Norm& norm, const BatchNormArgs& args, DType result) {
  const Tensor y = Tensor::empty(x.shape(), result);
  PAL_BACKEND(y, batch_norm_forward(x, args, norm.relu, y));
  return y;
}

/// The images of a batch in parts of at most `images`.
class Parts {
 public:
  Parts(int64_t batch, int64_t images) : batch_(batch), images_(images) {}
  int64_t count() const { return (batch_ + images_ - 1) / images_; }
  bool single() const { return images_ >= batch_; }
  Tensor of(const Tensor& t, int64_t part) const {
    const int64_t begin = part * images_;
    return t.slice_batch(begin, std::min(images_, batch_ - begin));
  }

 private:
  int64_t batch_;
  int64_t images_;
};

/// What stem_norm_conv does with a batch: x -> z = stem(x) -> h = relu?(norm(z)) -> y = conv(h).
///
/// z and h are larger than anything else in a subnet, so both are made for a few images at a time
/// and dropped. Forward: one sweep over the parts for the statistics of z, if they are to be
/// measured, and one for y. Backward, two sweeps, since the gradient of z needs sums over the whole
/// batch: the first makes the weight gradient of conv, the gradient of h and the sums; the second
/// turns the gradient of h into that of z and differentiates the stem. In between, the gradient of
/// h (in `grad`, as large as z) is kept, or, when lean, made again. A batch that is a single part
/// keeps its z (in `only_`) to the end of each pass.
class StemRun {
 public:
  StemRun(const Tensor& x, const Conv& stem, const Norm& norm, const Conv& conv,
          const StemMemory& memory)
      : x_(x),
        stem_(stem),
        norm_(norm),
        conv_(conv),
        inner_(stem.geometry.out_shape(x.shape(), stem.weight->shape[0])),
        lean_(memory.lean),
        parts_(x.size(0),
               memory.images > 0
                   ? memory.images
                   : stem_images(x.size(0), inner_.numel() / x.size(0) * size_of(x.dtype()),
                                 x.device())) {}

  Tensor forward(NormRun& run) {
    const bool measure = run.measure.mean.defined();
    if (measure) measure_statistics(run.measure);
    const Tensor y =
        Tensor::empty(conv_.geometry.out_shape(inner_, conv_.weight->shape[0]), x_.dtype());
    for (int64_t part = 0; part < parts_.count(); ++part) {
      const Tensor h = normalised(inner(part), norm_, run.args, x_.dtype());
      if (parts_.single()) only_ = Tensor();
      conv_pass(h, conv_, parts_.of(y, part));
    }
    only_ = Tensor();
    return y;
  }

  /// Adds to the parameters' gradients; returns that of x if it is wanted.
  Tensor backward(const Tensor& grad_y, const NormRun& run, bool want_grad_x) {
    NormSums sums(inner_.last(), run.batch_statistics_used ? norm_.ranks : nullptr);
    const bool learns = parameter_grads_enabled();
    const bool needs_sums = learns || run.batch_statistics_used;
    const bool twice = lean_ && !parts_.single();
    const Tensor grad = twice ? Tensor() : Tensor::empty(inner_, x_.dtype());
    const auto grad_of = [&](int64_t part, const Tensor& z, bool make) {
      const Tensor to = twice ? Tensor::empty(z.shape(), z.dtype()) : parts_.of(grad, part);
      if (make) conv_data_pass(parts_.of(grad_y, part), conv_, to);
      return to;
    };
    for (int64_t part = 0; needs_sums && part < parts_.count(); ++part) {
      const Tensor z = inner(part);
      if (learns)
        conv_weight_pass(normalised(z, norm_, run.args, x_.dtype()), parts_.of(grad_y, part),
                         conv_);
      const Tensor grad_h = grad_of(part, z, true);
      PAL_BACKEND(z, batch_norm_backward_sums(z, grad_h, run.args, norm_.relu, sums.own()));
    }
    sums.exchange(inner_.rows());
    const Tensor grad_x = want_grad_x ? Tensor::empty(x_.shape(), x_.dtype()) : Tensor();
    for (int64_t part = 0; part < parts_.count(); ++part) {
      const Tensor z = inner(part);
      BatchNormGrads grads;
      grads.x = grad_of(part, z, twice || !needs_sums);
      if (part == 0 && learns) {
        grads.weight = norm_.weight->grad;
        grads.bias = norm_.bias->grad;
      }
      sums.backward_of(z, grads.x, run.args, norm_.relu, run.batch_statistics_used, inner_.rows(),
                       grads);
      conv_weight_pass(parts_.of(x_, part), grads.x, stem_);
      if (want_grad_x) conv_data_pass(grads.x, stem_, parts_.of(grad_x, part));
    }
    only_ = Tensor();
    return grad_x;
  }

 private:
  /// The stem's result for a part; kept to the end of the pass if it is the only one.
  Tensor inner(int64_t part) {
    if (only_.defined()) return only_;
    Tensor z = conv_pass(parts_.of(x_, part), stem_);
    if (parts_.single()) only_ = z;
    return z;
  }

  void measure_statistics(const BatchStatistics& statistics) {
    const Tensor sums = Tensor::zeros({2, inner_.last()}, DType::f64, Tag::workspace);
    Tensor shift;
    for (int64_t part = 0; part < parts_.count(); ++part) {
      const Tensor z = inner(part);
      if (!shift.defined()) shift = z.view_at(0, {inner_.last()}).clone(Tag::workspace);
      PAL_BACKEND(z, batch_norm_sums(z, shift, sums));
    }
    measure_norm_of(sums, shift, inner_.rows(), statistics, norm_.ranks);
  }

  Tensor x_;
  Conv stem_;
  Norm norm_;
  Conv conv_;
  Shape inner_;
  bool lean_;
  Parts parts_;
  Tensor only_;
};

}  // namespace

Variable norm_conv(const Variable& x, const Norm& norm, const NormRun& run, const Conv& conv,
                   DType result) {
  const DeviceScope device(x.value().device());
  const Tensor y = conv_pass(normalised(x.value(), norm, run.args, result), conv);
  return record({x}, {y}, true, [=](const Gradients& grads) -> Gradients {
    if (parameter_grads_enabled())
      conv_weight_pass(normalised(x.value(), norm, run.args, result), grads[0], conv);
    const Tensor grad_h = Tensor::empty(x.value().shape(), result);
    conv_data_pass(grads[0], conv, grad_h);
    // The gradient of x may take the memory of that of the normalised values.
    const Tensor reused = x.value().dtype() == result ? grad_h : Tensor();
    return {batch_norm_gradients(x, grad_h, norm, run.args, run.batch_statistics_used, reused)};
  })[0];
}

Variable stem_norm_conv(const Variable& x, const Conv& stem, const Norm& norm, const NormRun& run,
                        const Conv& conv, const StemMemory& memory, DType result) {
  expect(stem.bias == nullptr, "stem_norm_conv: expected a stem without bias");
  expect(x.value().rank() == 4 && x.value().numel() > 0 &&
             x.value().channels() == stem.weight->shape[3],
         "stem_norm_conv: expected [n, h, w, {}], got {}", stem.weight->shape[3],
         x.value().shape().str());
  const DeviceScope device(x.value().device());
  const Variable input = cast(x, result);
  const auto stem_run = std::make_shared<StemRun>(input.value().dense(), stem, norm, conv, memory);
  NormRun kept = run;
  const Tensor y = stem_run->forward(kept);
  return record({input}, {y}, true, [=](const Gradients& grads) -> Gradients {
    return {stem_run->backward(grads[0], kept, input.requires_grad())};
  })[0];
}

int64_t stem_images(int64_t batch, int64_t bytes, Device device) {
  const int64_t most = device.is_cpu() ? int64_t{16} << 20 : int64_t{256} << 20;
  const int64_t images = std::clamp<int64_t>(most / bytes, 1, batch);
  const int64_t parts = (batch + images - 1) / images;
  return (batch + parts - 1) / parts;
}

}  // namespace pal
