#include "experiments/measures/latents.h"

#include <algorithm>
#include <cmath>

#include "layers/checkpoint/stored_values.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/random_reader.h"

namespace pal {
namespace {

/// A file that is filled once and read several times, removed at the end of the scope.
class Spool {
 public:
  explicit Spool(std::string path) : path_(std::move(path)) {}
  ~Spool() { remove_file(path_); }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  const std::string& path() const { return path_; }
  void feed(const ByteSink& sink) const {
    const FileReader file(path_, path_);
    std::vector<uint8_t> part(size_t{1} << 20);
    for (int64_t at = 0; at < file.size(); at += static_cast<int64_t>(part.size())) {
      part.resize(
          static_cast<size_t>(std::min(static_cast<int64_t>(part.size()), file.size() - at)));
      file.read(at, part);
      sink(part);
    }
  }

 private:
  std::string path_;
};

template <typename T>
std::span<const uint8_t> bytes_of(const T* values, int64_t count) {
  return {reinterpret_cast<const uint8_t*>(values), static_cast<size_t>(count) * sizeof(T)};
}

/// Class scores f32 [n, classes] with the uniform log-prior.
std::vector<float> prior_scores(const Tensor& scores) {
  const int64_t classes = scores.channels();
  const double log_prior = -std::log(static_cast<double>(classes));
  std::vector<float> values;
  for (int64_t i = 0; i < scores.size(0); ++i) {
    const float* const row = scores.data<float>() + i * scores.pitch();
    for (int64_t y = 0; y < classes; ++y) values.push_back(static_cast<float>(row[y] + log_prior));
  }
  return values;
}

/// Indices, labels, log-determinants, latent vectors and scores of a batch.
Message latents_of(IbInn& flow, const Batch& batch) {
  expect(batch.views == 1, "write_latents: expected one view of each image, got {}", batch.views);
  const auto latent = flow.forward(Variable(batch.images), Phase::evaluate);
  const Tensor z = latent.y.value();
  const Tensor rows = z.to(Device()).dense();
  const Tensor log_det = latent.log_det.value().to(Device());
  Message message;
  message.add(batch.indices)
      .add(labels_of(batch))
      .add(std::span<const double>(log_det.data<double>(), static_cast<size_t>(log_det.numel())))
      .add(std::span<const float>(rows.data<float>(), static_cast<size_t>(rows.numel())))
      .add(prior_scores(flow.head().scores(z).to(Device())));
  return message;
}

StoredTensor matrix_tensor(const char* name, const Spool& spool, int64_t rows, int64_t columns) {
  return {name,
          "F32",
          {rows, columns},
          rows * columns * static_cast<int64_t>(sizeof(float)),
          [&spool](const ByteSink& sink) { spool.feed(sink); }};
}

}  // namespace

int64_t write_latents(const std::string& path, IbInn& flow, const InputSpec& input,
                      const Dataset& set, const EvaluationSpec& spec,
                      const std::map<std::string, std::string>& metadata) {
  expect(flow.dtype() == DType::f32, "write_latents: expected a model in f32, got {}",
         name_of(flow.dtype()));
  std::vector<int32_t> labels;
  std::vector<int32_t> indices;
  std::vector<double> log_dets;
  const auto pass = [&](const ByteSink& latent_sink, const ByteSink& score_sink) {
    const NoGradGuard no_grad;
    share_images(
        evaluation_images(flow, input, set, spec),
        [&](const Batch& batch) { return latents_of(flow, batch); },
        [&](Message& message) {
          for (const int64_t index : message.take<int64_t>())
            indices.push_back(static_cast<int32_t>(index));
          for (const int32_t label : message.take<int32_t>())
            labels.push_back(class_of(spec, label));
          const auto batch_log_dets = message.take<double>();
          log_dets.insert(log_dets.end(), batch_log_dets.begin(), batch_log_dets.end());
          const auto rows = message.take<float>();
          latent_sink(bytes_of(rows.data(), static_cast<int64_t>(rows.size())));
          const auto batch_scores = message.take<float>();
          score_sink(bytes_of(batch_scores.data(), static_cast<int64_t>(batch_scores.size())));
        });
  };
  if (spec.ranks != nullptr && spec.ranks->rank() != 0) {
    const ByteSink nowhere = [](std::span<const uint8_t>) {};
    pass(nowhere, nowhere);
    from_first_rank(spec.ranks, {});
    return static_cast<int64_t>(labels.size());
  }
  const Spool latents(path + ".tmp-pal-latents");
  const Spool scores(path + ".tmp-pal-scores");
  write_atomic(latents.path(), [&](const ByteSink& latent_sink) {
    write_atomic(scores.path(), [&](const ByteSink& score_sink) { pass(latent_sink, score_sink); });
  });
  const auto count = static_cast<int64_t>(labels.size());
  from_first_rank(spec.ranks, [&] {
    write_safetensors(path, metadata,
                      std::vector<StoredTensor>{
                          matrix_tensor("latents", latents, count, flow.dims()),
                          stored_values("labels", labels), stored_values("indices", indices),
                          matrix_tensor("scores", scores, count, flow.config().classes),
                          stored_values("log_det", log_dets)});
    return Message();
  });
  return count;
}

}  // namespace pal
