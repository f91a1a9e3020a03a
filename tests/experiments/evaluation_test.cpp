#include "experiments/measures/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "data/batches/memory_loader.h"
#include "data/sets/synthetic.h"
#include "experiments/evaluation/evaluated_sets.h"
#include "experiments/measures/batch_norm_average.h"
#include "experiments/measures/latents.h"
#include "experiments/measures/model_fit.h"
#include "experiments/report/evaluation_csv.h"
#include "layers/checkpoint/safetensors.h"
#include "layers/models/ib_inn.h"
#include "runtime/error.h"
#include "runtime/parallel.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

ModelConfig tiny_config() {
  ModelConfig config = preset("ibinn-mnist");
  config.image_size = 8;
  config.classes = 4;
  config.blocks = {1, 1};
  config.widths = {8, 8};
  return config;
}

ImageSet tiny_set(int64_t count = 37, int64_t classes = 4) {
  SyntheticOptions options;
  options.count = count;
  options.height = options.width = 8;
  options.classes = classes;
  ImageSet set = synthetic_set(options);
  set.name = "stripes";
  return set;
}

DatasetInfo facts(const ImageSet& set) { return memory_dataset(set)->info(); }

InputSpec tiny_input() { return {{0.3F}, {0.25F}, {"a", "b", "c", "d"}}; }

/// The table of an evaluation, as CSV.
std::string table_of(Model& model, const Dataset& set, EvaluationSpec spec,
                     const ClassMatch& classes) {
  ImageTable table(set, classes, model.has_density());
  spec.class_of_label = classes.class_of_label;
  spec.observe = [&](const ImageResult& image, const ClassScores& scores) {
    table.add(image, scores);
  };
  evaluate_model(model, tiny_input(), set, spec);
  return table.text();
}

/// Fields of a CSV line without quotes.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

const ClassMatch kLetters = {{}, {"a", "b", "c", "d"}, {"a", "b", "c", "d"}};

struct Evaluation : ::testing::Test {
  IbInn model{tiny_config(), 3};
  ImageSet set = tiny_set();
  std::unique_ptr<Dataset> data = memory_dataset(set);
  EvaluationSpec spec;
};

TEST_F(Evaluation, AgreesWithTheModelsOwnLosses) {
  spec.noise = false;
  spec.smoothing = 0.1;
  spec.beta = 2.0;
  const EvaluationResult result = evaluate_model(model, tiny_input(), *data, spec);
  ASSERT_EQ(result.images.size(), 37U);
  LoaderOptions options;
  options.batch_size = 37;
  options.noise = false;
  options.mean = {0.3F};
  options.std = {0.25F};
  MemoryLoader loader(set, evaluation_options(options));
  const Batch batch = loader.batch(0, 0);
  const Tensor targets = Tensor::empty({37, 4});
  for (int64_t i = 0; i < 37; ++i)
    for (int64_t y = 0; y < 4; ++y)
      targets.data<float>()[4 * i + y] =
          (y == batch.labels.data<int32_t>()[i] ? 0.9F : 0.0F) + 0.025F;
  LossSpec loss;
  loss.beta = 2.0;
  const LossResult wanted = model.evaluate(batch.images, targets, loss);
  for (size_t i = 0; i < 37; ++i) {
    EXPECT_EQ(result.images[i].index, static_cast<int64_t>(i));
    EXPECT_NEAR(result.images[i].loss_x, wanted.nll_joint.data<double>()[i], 1e-6);
    EXPECT_NEAR(result.images[i].loss_y, wanted.cross_entropy.data<double>()[i], 1e-5);
  }
  EXPECT_NEAR(result.loss, wanted.loss(), 1e-5);
  EXPECT_NEAR(result.summary.bits_per_dim,
              bits_per_dim(result.summary.loss_x, 4, 64, tiny_input().std), 1e-12);
  EXPECT_GT(result.images_per_s, 0.0);
  int64_t pairs = 0;
  for (const CalibrationBin& bin : result.calibration.bins()) pairs += bin.entries;
  EXPECT_EQ(pairs, 37 * 4);
}

TEST_F(Evaluation, DoesNotDependOnBatchesOrThreads) {
  const EvaluationResult whole = evaluate_model(model, tiny_input(), *data, spec);
  const int threads = thread_count();
  set_thread_count(1);
  spec.batch_size = 5;
  const EvaluationResult parts = evaluate_model(model, tiny_input(), *data, spec);
  set_thread_count(threads);
  for (size_t i = 0; i < whole.images.size(); ++i)
    EXPECT_NEAR(whole.images[i].loss_x, parts.images[i].loss_x, 1e-6) << i;
  spec.seed = 1;
  EXPECT_NE(evaluate_model(model, tiny_input(), *data, spec).summary.loss_x, whole.summary.loss_x);
}

TEST_F(Evaluation, TakesTheChosenImages) {
  const EvaluationResult all = evaluate_model(model, tiny_input(), *data, spec);
  spec.indices = {30, 2};
  const EvaluationResult some = evaluate_model(model, tiny_input(), *data, spec);
  ASSERT_EQ(some.images.size(), 2U);
  EXPECT_EQ(some.images[0].index, 30);
  EXPECT_EQ(some.images[1].label, set.labels[2]);
  EXPECT_NEAR(some.images[0].loss_x, all.images[30].loss_x, 1e-6);
}

/// Serves pairs of neighbouring images as two views of one.
class PairedViews : public Dataset {
 public:
  explicit PairedViews(const ImageSet& set) : Dataset(facts(set)), set_(set) { info_.count /= 2; }
  using Dataset::batches;
  std::unique_ptr<Batches> batches(std::vector<int64_t>,
                                   const LoaderOptions& options) const override {
    return std::make_unique<Pairs>(set_, options);
  }
  int32_t label(int64_t index) const override {
    return set_.labels[static_cast<size_t>(2 * index)];
  }
  std::string item_name(int64_t index) const override {
    return "pair, \"" + std::to_string(index) + '"';
  }

 private:
  class Pairs : public Batches {
   public:
    Pairs(const ImageSet& set, LoaderOptions options) : options_(std::move(options)) {
      options_.batch_size = set.count;
      loader_ = std::make_unique<MemoryLoader>(set, options_);
      options_.batch_size = set.count / 2;
    }
    const LoaderOptions& options() const override { return options_; }
    int64_t count() const override { return options_.batch_size; }

   private:
    Batch make_batch(int64_t epoch, int64_t step, const ImageMemory& images) override {
      Batch batch = loader_->batch(epoch, step, images);
      batch.views = 2;
      const Tensor labels = Tensor::empty({count()}, DType::i32, Tag::data, Device());
      for (int64_t i = 0; i < count(); ++i)
        labels.data<int32_t>()[i] = batch.labels.data<int32_t>()[2 * i];
      batch.labels = labels;
      batch.indices.resize(static_cast<size_t>(count()));
      return batch;
    }

    LoaderOptions options_;
    std::unique_ptr<MemoryLoader> loader_;
  };

  const ImageSet& set_;
};

TEST_F(Evaluation, ChoosesAmongTheClassesThatAreThere) {
  // Images of two of the model's four classes.
  for (int64_t i = 0; i < set.count; ++i)
    if (set.labels[static_cast<size_t>(i)] % 2 == 0) spec.indices.push_back(i);
  spec.noise = false;
  std::vector<std::vector<double>> all, restricted;
  spec.observe = [&](const ImageResult&, const ClassScores& scores) {
    all.emplace_back(scores.probabilities.begin(), scores.probabilities.end());
  };
  const auto open = evaluate_model(model, tiny_input(), *data, spec);
  spec.among = {0, 2};
  spec.observe = [&](const ImageResult& image, const ClassScores& scores) {
    EXPECT_EQ(image.predicted % 2, 0);
    EXPECT_EQ(image.label % 2, 0);
    restricted.emplace_back(scores.probabilities.begin(), scores.probabilities.end());
  };
  const auto among = evaluate_model(model, tiny_input(), *data, spec);
  ASSERT_EQ(all.size(), restricted.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const double kept = all[i][0] + all[i][2];
    EXPECT_NEAR(restricted[i][0], all[i][0] / kept, 1e-9);
    EXPECT_EQ(restricted[i][1], 0.0);
    EXPECT_NEAR(restricted[i][2], all[i][2] / kept, 1e-9);
    EXPECT_EQ(among.images[i].log_density, open.images[i].log_density);
  }
  EXPECT_GE(among.summary.acc1, open.summary.acc1);
  spec.among = {0, 1};
  EXPECT_THROW(evaluate_model(model, tiny_input(), *data, spec), Error) << "an image of class 2";
}

TEST_F(Evaluation, AveragesTheSoftmaxOfViews) {
  const ImageSet even = tiny_set(36);
  spec.noise = false;
  const EvaluationResult single = evaluate_model(model, tiny_input(), *memory_dataset(even), spec);
  const PairedViews pairs(even);
  const EvaluationResult averaged = evaluate_model(model, tiny_input(), pairs, spec);
  ASSERT_EQ(averaged.images.size(), 18U);
  for (size_t i = 0; i < 18; ++i) {
    const ImageResult& first = single.images[2 * i];
    const ImageResult& second = single.images[2 * i + 1];
    EXPECT_NEAR(averaged.images[i].loss_x, 0.5 * (first.loss_x + second.loss_x), 1e-6);
    // The first view's label is known to both, the second's probability of it is not kept; but the
    // mean of two softmax vectors lies between them.
    EXPECT_LE(averaged.images[i].confidence, 0.5 * (first.confidence + second.confidence) + 1e-6);
    if (first.predicted == second.predicted) {
      EXPECT_NEAR(averaged.images[i].confidence, 0.5 * (first.confidence + second.confidence),
                  1e-6);
    }
  }
  const std::string csv = table_of(model, pairs, spec, kLetters);
  EXPECT_NE(csv.find("\n0,\"pair, \"\"0\"\"\","), std::string::npos) << csv.substr(0, 300);
}

TEST_F(Evaluation, LeavesTheModelAsItWas) {
  const Tensor before = model.parameters().all_values().clone();
  const double running = [&] {
    double sum = 0.0;
    for (const Buffer& b : model.state().buffers)
      if (b.tensor->dtype() == DType::f32)
        for (int64_t i = 0; i < b.tensor->numel(); ++i)
          sum += static_cast<double>(b.tensor->data<float>()[i]);
    return sum;
  }();
  evaluate_model(model, tiny_input(), *data, spec);
  EXPECT_EQ(relative_error(before, model.parameters().all_values()), 0.0);
  double after = 0.0;
  for (const Buffer& b : model.state().buffers)
    if (b.tensor->dtype() == DType::f32)
      for (int64_t i = 0; i < b.tensor->numel(); ++i)
        after += static_cast<double>(b.tensor->data<float>()[i]);
  EXPECT_EQ(running, after);
}

TEST_F(Evaluation, StopsAtALossThatIsNotFinite) {
  model.parameters().values(ParameterGroup::means).fill(std::numeric_limits<double>::quiet_NaN());
  model.parameters().mark_changed();
  try {
    evaluate_model(model, tiny_input(), *data, spec);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerics);
    EXPECT_NE(std::string(error.what()).find("stripes: the loss of image 0"), std::string::npos)
        << error.what();
  }
}

TEST_F(Evaluation, WritesOneLinePerImage) {
  const ClassMatch classes = {
      {2, 0, 1, 3}, {"a", "Würfel, rot", "c", "\"d\""}, {"w", "x", "y", "z"}};
  const std::string csv = table_of(model, *data, spec, classes);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 38);
  EXPECT_EQ(csv.substr(0, csv.find('\n')),
            "index,name,label,label_name,predicted,predicted_name,top1_name,top1_probability,"
            "top2_name,top2_probability,top3_name,top3_probability,top4_name,top4_probability,rank,"
            "confidence,entropy,ce,loss_y,loss_x,loss_class,log_density,p_0,p_1,p_2,p_3");
  EXPECT_NE(csv.find(",\"Würfel, rot\","), std::string::npos) << "quoted";
  EXPECT_NE(csv.find(",\"\"\"d\"\"\","), std::string::npos) << "quotes are doubled";

  const std::string plain =
      table_of(model, *data, spec, {{2, 0, 1, 3}, {"a", "b", "c", "d"}, {"w", "x", "y", "z"}});
  spec.class_of_label = classes.class_of_label;
  const EvaluationResult result = evaluate_model(model, tiny_input(), *data, spec);
  size_t at = plain.find('\n') + 1;
  for (const ImageResult& image : result.images) {
    const size_t end = plain.find('\n', at);
    const auto fields = fields_of(plain.substr(at, end - at));
    at = end + 1;
    ASSERT_EQ(fields.size(), 26U);
    const auto label = static_cast<size_t>(set.labels[static_cast<size_t>(image.index)]);
    EXPECT_EQ(fields[2], std::to_string(classes.class_of_label[label]));
    EXPECT_EQ(fields[3], std::string(1, "wxyz"[std::stoi(fields[2])]));
    EXPECT_EQ(fields[4], std::to_string(image.predicted));
    EXPECT_EQ(fields[5], std::string(1, "abcd"[image.predicted]));
    EXPECT_EQ(fields[6], fields[5]);
    EXPECT_EQ(fields[7], fmt::format("{}", image.confidence));
    EXPECT_EQ(fields[14], std::to_string(image.rank));
    EXPECT_EQ(fields[17], fmt::format("{}", image.cross_entropy));
    double sum = 0.0;
    for (size_t y = 0; y < 4; ++y) sum += std::stod(fields[22 + y]);
    EXPECT_NEAR(sum, 1.0, 1e-9);
    for (size_t k = 0; k < 4; ++k) {  // each of the top is the class that it names
      const size_t y = std::string("abcd").find(fields[6 + 2 * k]);
      EXPECT_EQ(fields[7 + 2 * k], fields[22 + y]);
      if (k > 0) {
        EXPECT_LE(std::stod(fields[7 + 2 * k]), std::stod(fields[5 + 2 * k]));
      }
    }
    EXPECT_NEAR(-std::log(std::stod(fields[22 + static_cast<size_t>(image.label)])),
                image.cross_entropy, 1e-6);
  }
}

TEST_F(Evaluation, WritesLatentVectors) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("z.safetensors");
  spec.noise = false;
  spec.batch_size = 10;
  spec.indices = {30, 2, 5, 36, 1, 0, 9, 8, 7, 6, 11};
  spec.class_of_label = {3, 2, 1, 0};
  EXPECT_EQ(write_latents(path, model, tiny_input(), *data, spec, {{"class_names", "[]"}}), 11);
  const SafetensorsFile file = SafetensorsFile::read(path);
  EXPECT_EQ(file.names(),
            (std::vector<std::string>{"latents", "labels", "indices", "scores", "log_det"}));
  EXPECT_EQ(file.metadata().at("class_names"), "[]");
  EXPECT_TRUE(file.verify_digest());
  const Tensor z = file.tensor("latents");
  const Tensor scores = file.tensor("scores");
  const Tensor log_det = file.tensor("log_det");
  ASSERT_EQ(z.shape(), Shape({11, 64}));
  ASSERT_EQ(scores.shape(), Shape({11, 4}));
  ASSERT_EQ(scores.dtype(), DType::f32);
  ASSERT_EQ(log_det.shape(), Shape({11}));
  ASSERT_EQ(log_det.dtype(), DType::f64);
  const EvaluationResult wanted = evaluate_model(model, tiny_input(), *data, spec);
  for (size_t i = 0; i < 11; ++i) {
    const ImageResult& image = wanted.images[i];
    EXPECT_EQ(file.tensor("indices").data<int32_t>()[i], image.index);
    EXPECT_EQ(file.tensor("labels").data<int32_t>()[i], image.label);
    // What a reader of the file makes of it, by the formulas of the book.
    const float* const row = scores.data<float>() + 4 * i;
    double total = 0.0;
    for (size_t y = 0; y < 4; ++y) total += std::exp(static_cast<double>(row[y]));
    total = std::log(total);
    EXPECT_NEAR(row[image.label] - total, -image.cross_entropy, 1e-5);
    double square = 0.0;
    for (size_t d = 0; d < 64; ++d) square += std::pow(z.data<float>()[64 * i + d], 2.0);
    const double log_density =
        -square / 2.0 + total + log_det.data<double>()[i] - 32.0 * std::log(2.0 * std::numbers::pi);
    EXPECT_NEAR(log_density / 64.0, image.log_density, 1e-6);
  }
  // The way back gives the images, in the order of the file.
  const Tensor pictures = model.inverse(z);
  for (size_t i = 0; i < 11; ++i) {
    const auto index = static_cast<size_t>(wanted.images[i].index);
    for (size_t d = 0; d < 64; ++d) {
      const double level = set.pixels[64 * index + d] / 255.0;
      EXPECT_NEAR(pictures.data<float>()[64 * i + d], (level - 0.3) / 0.25, 1e-3);
    }
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.file("")), {}), 1)
      << "temporary files stay";
}

TEST(HeldOutImages, AreThoseOfTheRunsOwnSet) {
  OpenedSet set;
  set.spec.name = "synthetic:4:148:8";
  set.set = open_dataset(set.spec, Split::train);
  TrainingRecipe recipe;
  recipe.validation = 10.0;
  recipe.loader.seed = 3;
  const std::string fingerprint = fmt::format("{:016x}", set.set->info().fingerprint);
  const auto held_out = held_out_images(set.spec, set.set->info(), recipe, fingerprint);
  EXPECT_EQ(held_out.size(), 10U);
  for (const int64_t index : training_indices(set, recipe))
    EXPECT_EQ(std::ranges::count(held_out, index), 0) << index;
  EXPECT_TRUE(held_out_images(set.spec, set.set->info(), recipe, "0123456789abcdef").empty());
  EXPECT_TRUE(held_out_images(set.spec, set.set->info(), recipe, "").empty())
      << "nothing is known of the run";
}

TEST(ReaverageBatchNorm, TakesTheMeanOverBatches) {
  IbInn model(tiny_config(), 3);
  const ImageSet set = tiny_set(32);
  LoaderOptions options;
  options.batch_size = 8;
  options.noise = false;
  options.mean = {0.3F};
  options.std = {0.25F};
  MemoryLoader loader(set, evaluation_options(options));
  const auto first_mean = [&]() -> Tensor {
    for (const Buffer& b : model.state().buffers)
      if (b.name.find("running_mean") != std::string::npos) return b.tensor->clone();
    return {};
  };
  // The first batch norm sees the data alone, so its mean over 4 batches is that of 4 single ones.
  std::vector<double> sum(static_cast<size_t>(first_mean().numel()));
  for (int64_t k = 0; k < 4; ++k) {
    model.set_average_count(1);
    const NoGradGuard no_grad;
    model.forward(Variable(loader.batch(0, k).images), Phase::train);
    for (size_t c = 0; c < sum.size(); ++c)
      sum[c] += 0.25 * static_cast<double>(first_mean().data<float>()[c]);
  }
  reaverage_batch_norm(model, loader, 4);
  for (size_t c = 0; c < sum.size(); ++c) EXPECT_NEAR(first_mean().data<float>()[c], sum[c], 1e-6);
  EXPECT_THROW(reaverage_batch_norm(model, loader, 0), Error);
}

TEST(ExpectFit, NamesBothSides) {
  LoadedModel loaded;
  loaded.model = std::make_unique<IbInn>(tiny_config(), 3);
  loaded.input = tiny_input();
  expect_images_fit(loaded, "a.safetensors", facts(tiny_set()));
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.kind() == ErrorKind::usage ? error.what() : "wrong kind";
    }
    return "no error";
  };
  DatasetInfo wider = facts(tiny_set());
  wider.width = 10;
  EXPECT_NE(message([&] {
              expect_images_fit(loaded, "a.safetensors", wider);
            }).find("8x8 with 1 channel(s), but stripes has 10x8"),
            std::string::npos);
}

}  // namespace
}  // namespace pal
