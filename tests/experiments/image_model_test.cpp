// A trained network as programs see it that are not ours: numbers of pictures in any layout.
#include "experiments/library/image_model.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "experiments/attacks/attacked_model.h"
#include "experiments/measures/metrics.h"
#include "experiments/measures/sampling.h"
#include "kernels/image/image.h"
#include "layers/models/ib_inn.h"
#include "runtime/parallel.h"
#include "tests/support/error_text.h"
#include "tests/support/random_batch.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::relative_difference;
using testing::usage_error;
using testing::values_of;

/// An untrained network whose running statistics fit its inputs.
LoadedModel tiny_network(const ModelConfig& config, DType dtype) {
  LoadedModel loaded;
  loaded.model = build_model(config);
  loaded.model->materialise(3, dtype);
  const testing::RandomBatch batch(config, {.count = 6, .dtype = dtype, .seed = 8});
  for (int i = 0; i < 3; ++i) loaded.model->update_statistics(batch.images);
  for (int64_t c = 0; c < config.channels; ++c) {
    loaded.input.mean.push_back(0.4F + 0.05F * static_cast<float>(c));
    loaded.input.std.push_back(0.2F + 0.1F * static_cast<float>(c));
  }
  return loaded;
}

/// The same network twice: as callers have it, and as it is inside.
struct ModelCase {
  explicit ModelCase(const ModelConfig& config, DType dtype = DType::f32, bool check_range = true)
      : inside(tiny_network(config, dtype)),
        model(tiny_network(config, dtype), {.check_range = check_range, .between_pieces = {}}) {}

  /// Random levels of n images, rows of colours.
  std::vector<uint8_t> levels(int64_t n) const {
    const Philox random(5, RandomPurpose::test);
    std::vector<uint8_t> values(static_cast<size_t>(n * model.facts().dims));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<uint8_t>(random.uniform4(static_cast<uint32_t>(i / 4))[i % 4] * 256);
    return values;
  }
  PixelView view(const void* data, PixelType type, int64_t n) const {
    const int64_t size = model.facts().image_size, channels = model.facts().channels;
    return {data,
            type,
            {n, size, size, channels},
            {size * size * channels, size * channels, channels, 1}};
  }
  LoadedModel inside;
  ImageModel model;
};

TEST(ImageModelTest, SaysWhatAttacksAreTold) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    ModelCase each(config);
    const Tensor pixels = each.model.facts().has_density
                              ? each.model.sample(1, 7, 0.4, 1)
                              : testing::constant_tensor({7, 19, 19, 3}, 0.3).to(DType::f32);
    AttackedNetwork attacked(*each.inside.model, each.inside.input);
    const ImageScores wanted = attacked.scores(pixels);
    const ImageAnswers said = each.model.answers(PixelView::of(pixels));
    EXPECT_LT(relative_difference(said.scores, wanted.scores), 1e-5);
    ASSERT_EQ(said.log_prob.size(), wanted.log_density.size());
    for (size_t i = 0; i < said.log_prob.size(); ++i) {
      const auto dims = static_cast<double>(each.model.facts().dims);
      // The density of what the network reads, and that of pixels, which are std times as wide.
      const double log_std = (std::log(0.2) + std::log(0.3) + std::log(0.4)) / 3.0;
      EXPECT_NEAR(said.log_prob[i], dims * (wanted.log_density[i] - log_std), 1e-2);
      EXPECT_NEAR(said.bits_per_dim[i], std::log2(255.0) - said.log_prob[i] / dims / std::log(2.0),
                  1e-9);
    }
    std::vector<double> grad_scores(said.scores.size()), grad_log_prob(said.log_prob.size(), 0.01);
    for (size_t i = 0; i < grad_scores.size(); ++i)
      grad_scores[i] = std::cos(static_cast<double>(i));
    const Tensor grad = each.model.vjp(PixelView::of(pixels), grad_scores, grad_log_prob);
    const Tensor same = attacked.gradient(pixels, [&](const ImageScores&) {
      ImageGradients gradients{grad_scores, {}};
      for (const double g : grad_log_prob)
        gradients.log_density.push_back(g * static_cast<double>(each.model.facts().dims));
      return gradients;
    });
    EXPECT_LT(relative_difference(values_of(grad), values_of(same)), 1e-4) << config.arch;
  }
}

TEST(ImageModelTest, LevelsAndLayoutsAndPiecesDoNotMatter) {
  ModelCase each(testing::tiny_config());
  const int64_t n = 130;  // more than a piece
  const std::vector<uint8_t> levels = each.levels(n);
  const ImageAnswers said = each.model.answers(each.view(levels.data(), PixelType::level, n));
  // As pictures of data sets are read, to the last bit.
  std::vector<double> wanted;
  for (const int64_t first : {0, 100}) {
    const int64_t count = std::min<int64_t>(100, n - first);
    std::vector<ImagePlacement> placements(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) placements[static_cast<size_t>(i)].source = first + i;
    const Tensor x = Tensor::empty({count, 16, 16, 3});
    cpu::normalize_images(levels, placements,
                          {.mean = each.inside.input.mean, .std = each.inside.input.std}, x);
    const std::vector<double> scores = each.inside.model->scores_of(x).scores;
    wanted.insert(wanted.end(), scores.begin(), scores.end());
  }
  EXPECT_EQ(said.scores, wanted);

  std::vector<float> floats;
  std::vector<double> doubles;
  for (const uint8_t level : levels) {
    floats.push_back(static_cast<float>(level) / 255.0F);
    doubles.push_back(static_cast<double>(level) / 255.0);
  }
  const auto same = [&](const PixelView& view) {
    const ImageAnswers other = each.model.answers(view);
    EXPECT_EQ(other.scores, said.scores);
    EXPECT_EQ(other.log_prob, said.log_prob);
  };
  same(each.view(floats.data(), PixelType::unit_float, n));
  same(each.view(doubles.data(), PixelType::unit_double, n));

  // Colours before rows and columns, and mirrored: the view begins at the last image.
  const int64_t area = 16 * 16;
  std::vector<float> planes(floats.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t p = 0; p < area; ++p)
      for (int64_t c = 0; c < 3; ++c)
        planes[static_cast<size_t>(((n - 1 - i) * 3 + c) * area + p)] =
            floats[static_cast<size_t>((i * area + p) * 3 + c)];
  PixelView view = each.view(planes.data() + (n - 1) * 3 * area, PixelType::unit_float, n);
  view.strides = {-3 * area, 16, 1, area};
  same(view);
}

TEST(ImageModelTest, GradientsOfPixelsEqualFiniteDifferences) {
  ModelCase each(testing::tiny_config(), DType::f64);
  const Tensor pixels = testing::random_tensor({2, 16, 16, 3}, DType::f64, 4, 0.1);
  for (int64_t i = 0; i < pixels.numel(); ++i) pixels.data<double>()[i] += 0.5;
  const std::vector<double> grad_scores = {1.0, -2.0, 0.5, 0.0, 0.3, 0.0, -1.0, 2.0};
  const std::vector<double> grad_log_prob = {0.2, -0.1};
  const auto sum = [&] {
    const ImageAnswers said = each.model.answers(PixelView::of(pixels));
    return std::inner_product(said.scores.begin(), said.scores.end(), grad_scores.begin(), 0.0) +
           std::inner_product(said.log_prob.begin(), said.log_prob.end(), grad_log_prob.begin(),
                              0.0);
  };
  const Tensor grad = each.model.vjp(PixelView::of(pixels), grad_scores, grad_log_prob);
  for (int64_t i = 7; i < pixels.numel(); i += 97) {
    double& pixel = pixels.data<double>()[i];
    const double before = pixel, step = 1e-5;
    pixel = before + step;
    const double above = sum();
    pixel = before - step;
    const double below = sum();
    pixel = before;
    const double wanted = (above - below) / (2.0 * step);
    EXPECT_NEAR(grad.data<float>()[i], wanted, 1e-5 * (1.0 + std::abs(wanted))) << i;
  }
  // The parts add up.
  const Tensor of_scores = each.model.vjp(PixelView::of(pixels), grad_scores, {});
  const Tensor of_densities = each.model.vjp(PixelView::of(pixels), {}, grad_log_prob);
  for (int64_t i = 0; i < grad.numel(); i += 11)
    EXPECT_NEAR(grad.data<float>()[i], of_scores.data<float>()[i] + of_densities.data<float>()[i],
                1e-3);
}

TEST(ImageModelTest, GoesToLatentSpaceAndBack) {
  ModelCase each(testing::tiny_config());
  const int64_t n = 103;
  const std::vector<uint8_t> levels = each.levels(n);
  const PixelView view = each.view(levels.data(), PixelType::level, n);
  const Tensor z = each.model.encode(view);
  EXPECT_EQ(z.shape(), Shape({n, each.model.facts().dims}));
  const Tensor back = each.model.decode(z);
  for (int64_t i = 0; i < back.numel(); ++i)
    ASSERT_NEAR(back.data<float>()[i], static_cast<float>(levels[static_cast<size_t>(i)]) / 255.0F,
                1e-4);
}

TEST(ImageModelTest, SamplesAreThePicturesOfTheProgram) {
  ModelCase each(testing::tiny_config());
  IbInn& flow = flow_of(each.inside, "");
  const Tensor samples = each.model.sample(2, 105, 0.7, 9);
  std::vector<Image> wanted;
  for (const int64_t first : {0, 100}) {
    const Tensor z = class_latents(model_spread(flow, 2), 2, first, first == 0 ? 100 : 5, 0.7, 9);
    for (Image& picture : to_pictures(decode(flow, z), each.inside.input))
      wanted.push_back(std::move(picture));
  }
  for (int64_t i = 0; i < samples.numel(); ++i) {
    const float pixel = samples.data<float>()[i];
    const int64_t dims = each.model.facts().dims;
    ASSERT_EQ(std::lround(pixel * 255.0F),
              wanted[static_cast<size_t>(i / dims)].pixels[static_cast<size_t>(i % dims)]);
  }
  // Unclipped ones are those of decode.
  const Tensor wide = each.model.sample(2, 1, 3.0, 9, false);
  EXPECT_EQ(values_of(wide),
            values_of(each.model.decode(class_latents(model_spread(flow, 2), 2, 0, 1, 3.0, 9))));
  EXPECT_NE(values_of(wide), values_of(each.model.sample(2, 1, 3.0, 9)));
}

TEST(ImageModelTest, EvidenceSumsToTheDifferenceOfScores) {
  ModelCase each(testing::tiny_config());
  const std::vector<uint8_t> levels = each.levels(5);
  const PixelView view = each.view(levels.data(), PixelType::level, 5);
  const ImageAnswers said = each.model.answers(view);
  const std::vector<int64_t> a = {0, 1, 2, 3, 0}, b = {1};
  const Tensor maps = each.model.evidence(view, a, b);
  EXPECT_EQ(maps.shape(), Shape({5, maps.size(1), maps.size(1)}));
  for (int64_t i = 0; i < 5; ++i) {
    const double* const map = maps.data<double>() + i * maps.size(1) * maps.size(1);
    const double sum = std::accumulate(map, map + maps.size(1) * maps.size(1), 0.0);
    const auto y = static_cast<size_t>(a[static_cast<size_t>(i)]);
    const size_t row = static_cast<size_t>(i) * 4;
    EXPECT_NEAR(sum, said.scores[row + y] - said.scores[row + 1], 1e-3) << i;
  }
}

TEST(ImageModelTest, PosteriorsAreSoftmaxes) {
  ModelCase each(testing::tiny_config());
  const std::vector<uint8_t> levels = each.levels(3);
  const PixelView view = each.view(levels.data(), PixelType::level, 3);
  const ImageAnswers said = each.model.answers(view);
  const std::vector<double> posterior = each.model.posterior(view);
  for (size_t i = 0; i < 3; ++i) {
    std::vector<double> wanted(4);
    judge_scores(std::span(said.scores).subspan(4 * i, 4), 0, 0.0, wanted);
    for (size_t y = 0; y < 4; ++y) EXPECT_EQ(posterior[4 * i + y], wanted[y]);
  }
  EXPECT_EQ(usage_error([&] { each.model.posterior(view, true); }),
            "posterior: there is no calibration of this model; pal-evaluate --calibrate makes one");
}

TEST(ImageModelTest, LoadsWhatPathsStandFor) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("checkpoints"));
  const LoadedModel made = tiny_network(testing::tiny_config(), DType::f32);
  save_checkpoint(folder.file("checkpoints/last"), to_checkpoint(*made.model, made.input, {}));
  ImageModel model(folder.path(), {.threads = 1, .between_pieces = {}});
  EXPECT_EQ(model.facts().classes, 4);
  EXPECT_EQ(model.facts().dims, 768);
  EXPECT_EQ(model.facts().threads, 1);
  EXPECT_EQ(model.facts().device, "cpu");
  EXPECT_EQ(model.facts().class_names[3], "3");
  EXPECT_FALSE(model.facts().temperature.has_value());
  ModelCase each(testing::tiny_config());
  const std::vector<uint8_t> levels = each.levels(2);
  const PixelView view = each.view(levels.data(), PixelType::level, 2);
  EXPECT_EQ(model.answers(view).scores, each.model.answers(view).scores);
  EXPECT_THROW(ImageModel(folder.file("nothing"), {}), Error);
}

TEST(ImageModelTest, RefusesWhatDoesNotFit) {
  ModelCase each(testing::tiny_config());
  ImageModel& model = each.model;
  std::vector<float> pixels(2 * 768, 0.5F);
  const PixelView view = each.view(pixels.data(), PixelType::unit_float, 2);
  PixelView wide = view;
  wide.extents[2] = 17;
  EXPECT_EQ(usage_error([&] { model.answers(wide); }),
            "images: expected [n, 16, 16, 3], got [2, 16, 17, 3]");
  PixelView none = view;
  none.extents[0] = 0;
  EXPECT_EQ(usage_error([&] { model.answers(none); }), "images: expected at least one");
  pixels[768 + 16 * 3 + 4] = 200.0F;
  EXPECT_EQ(usage_error([&] { model.answers(view); }),
            "images: 200 in image 1, row 1, column 1, colour 1; expected pixels in [0, 1]: divide "
            "levels by 255, or give them as uint8");
  pixels[768 + 16 * 3 + 4] = std::nanf("");
  EXPECT_EQ(usage_error([&] { model.encode(view); }),
            "images: nan in image 1, row 1, column 1, colour 1");
  pixels[768 + 16 * 3 + 4] = -1.0F;
  ModelCase unchecked(testing::tiny_config(), DType::f32, false);
  EXPECT_EQ(unchecked.model.answers(view).scores.size(), 8U);
  pixels[768 + 16 * 3 + 4] = INFINITY;
  EXPECT_EQ(usage_error([&] { unchecked.model.answers(view); }),
            "images: inf in image 1, row 1, column 1, colour 1");
  pixels[768 + 16 * 3 + 4] = 0.0F;
  const std::vector<int64_t> good = {1}, bad = {4}, many = {1, 1, 1};
  EXPECT_EQ(usage_error([&] { model.evidence(view, good, bad); }), "class: expected 0 to 3, got 4");
  EXPECT_EQ(usage_error([&] { model.evidence(view, many, good); }),
            "evidence: expected one class, or one for each of 2 images, got 3");
  EXPECT_EQ(usage_error([&] { model.sample(-1, 1, 1.0, 0); }), "class: expected 0 to 3, got -1");
  EXPECT_EQ(usage_error([&] { model.sample(0, 0, 1.0, 0); }),
            "n: expected at least 1 sample, got 0");
  EXPECT_EQ(usage_error([&] { model.sample(0, 1, std::nan(""), 0); }),
            "temperature: expected a number of at least 0, got nan");
  EXPECT_EQ(usage_error([&] {
              model.decode(Tensor::zeros({2, 767}));
            }),
            "latents: expected [n, 768] of f32 with n at least 1, got [2, 767] of f32");
  EXPECT_EQ(usage_error([&] {
              model.decode(testing::constant_tensor({1, 768}, NAN).to(DType::f32));
            }),
            "latents: a value is not finite");
  const std::vector<double> three(3), nan(8, std::nan(""));
  EXPECT_EQ(usage_error([&] { model.vjp(view, {}, {}); }),
            "vjp: expected derivatives of scores, of log_prob or of both");
  EXPECT_EQ(usage_error([&] { model.vjp(view, three, {}); }),
            "vjp: expected 8 derivatives of scores, got 3");
  EXPECT_EQ(usage_error([&] { model.vjp(view, nan, {}); }), "vjp: a derivative is nan");

  ModelCase resnet(testing::tiny_resnet());
  EXPECT_EQ(usage_error([&] { resnet.model.sample(0, 1, 1.0, 0); }),
            "sample: tiny-resnet only classifies; this needs an invertible network");

  model.close();
  model.close();
  EXPECT_TRUE(model.closed());
  EXPECT_EQ(model.facts().classes, 4);
  EXPECT_EQ(usage_error([&] { model.answers(view); }), "model: it is closed");
}

TEST(ImageModelTest, ThreadsMayShareAModelAndUseSeveral) {
  ModelCase each(testing::tiny_config());
  ImageModel other(tiny_network(testing::tiny_config(), DType::f32), {});
  const std::vector<uint8_t> levels = each.levels(6);
  const PixelView view = each.view(levels.data(), PixelType::level, 6);
  const std::vector<double> wanted = each.model.answers(view).scores;
  const Tensor z = each.model.encode(view);
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (size_t t = 0; t < right.size(); ++t)
    threads.emplace_back([&, t] {
      ImageModel& model = t % 2 == 0 ? each.model : other;
      for (int k = 0; k < 5; ++k) {
        const bool same =
            model.answers(view).scores == wanted && values_of(model.encode(view)) == values_of(z);
        right[t] += same ? 1 : 0;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, std::vector<int>(4, 5));
}

TEST(ImageModelTest, ALongCallCanBeEndedBetweenPieces) {
  int asked = 0;
  ImageModel model(tiny_network(testing::tiny_config(), DType::f32), {.between_pieces = [&] {
                     if (++asked == 2) throw std::runtime_error("enough");
                   }});
  EXPECT_THROW(model.sample(0, 301, 1.0, 0), std::runtime_error);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(model.sample(0, 1, 1.0, 0).size(0), 1);  // nothing is held
}

TEST(ImageModelTest, AForkedProcessLoadsItsOwn) {
  ModelCase each(testing::tiny_config());
  const std::vector<uint8_t> levels = each.levels(6);
  const PixelView view = each.view(levels.data(), PixelType::level, 6);
  const std::vector<double> wanted = each.model.answers(view).scores;
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // a child that waits for threads that it lacks would wait forever
    const std::string said = usage_error([&] { each.model.answers(view); });
    const ThreadScope alone(1);  // the network here is not loaded, but made
    ImageModel own(tiny_network(testing::tiny_config(), DType::f32), {});
    const bool right = said.find("forked off") != std::string::npos && own.facts().threads == 1 &&
                       own.answers(view).scores == wanted;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace pal
