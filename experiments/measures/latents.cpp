#include "experiments/measures/latents.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "kernels/loss/softmax_math.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/random_reader.h"

namespace pal {
namespace {

/// A file that is filled once and read several times, removed at the end of the scope.
class Spool {
 public:
  explicit Spool(std::string path) : path_(std::move(path)) {}
  ~Spool() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
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

/// ln q(y|x) of scores f32 [n, classes].
std::vector<float> log_posteriors(const Tensor& scores) {
  const int64_t classes = scores.channels();
  std::vector<float> values;
  std::vector<double> row(static_cast<size_t>(classes));
  for (int64_t i = 0; i < scores.size(0); ++i) {
    const float* const from = scores.data<float>() + i * scores.pitch();
    std::copy_n(from, classes, row.begin());
    const double total = softmax_math::log_sum_exp(row.data(), classes);
    for (const double score : row) values.push_back(static_cast<float>(score - total));
  }
  return values;
}

StoredTensor integers(const char* name, const std::vector<int32_t>& values) {
  const auto count = static_cast<int64_t>(values.size());
  return {name,
          "I32",
          {count},
          count * static_cast<int64_t>(sizeof(int32_t)),
          [&values, count](const ByteSink& sink) { sink(bytes_of(values.data(), count)); }};
}

StoredTensor floats(const char* name, const Spool& spool, int64_t rows, int64_t columns) {
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
  const auto batches = evaluation_batches(flow, input, set, spec);
  const Spool latents(path + ".tmp-pal-latents");
  const Spool posteriors(path + ".tmp-pal-posteriors");
  std::vector<int32_t> labels;
  std::vector<int32_t> indices;
  const auto pass = [&](const ByteSink& latent_sink, const ByteSink& posterior_sink) {
    const NoGradGuard no_grad;
    for (int64_t step = 0; step < batches->steps(); ++step) {
      const Batch batch = batches->batch(0, step);
      expect(batch.views == 1, "write_latents: expected one view of each image, got {}",
             batch.views);
      const Tensor z = flow.forward(Variable(batch.images), Phase::evaluate).y.value();
      const std::vector<float> logs = log_posteriors(flow.head().scores(z).to(Device()));
      const Tensor rows = z.to(Device()).dense();
      latent_sink(bytes_of(rows.data<float>(), rows.numel()));
      posterior_sink(bytes_of(logs.data(), static_cast<int64_t>(logs.size())));
      for (int64_t i = 0; i < batch.labels.numel(); ++i)
        labels.push_back(class_of(spec, batch.labels.data<int32_t>()[i]));
      for (const int64_t index : batch.indices) indices.push_back(static_cast<int32_t>(index));
    }
  };
  write_atomic(latents.path(), [&](const ByteSink& latent_sink) {
    write_atomic(posteriors.path(),
                 [&](const ByteSink& posterior_sink) { pass(latent_sink, posterior_sink); });
  });
  const auto count = static_cast<int64_t>(labels.size());
  write_safetensors(path, metadata,
                    std::vector<StoredTensor>{
                        floats("latents", latents, count, flow.dims()), integers("labels", labels),
                        integers("indices", indices),
                        floats("log_posteriors", posteriors, count, flow.config().classes)});
  return count;
}

}  // namespace pal
