// Evaluation by several ranks, here threads: every rank must find, bit for bit, what one process
// finds, and all must end together.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "data/batches/bad_images.h"
#include "data/batches/memory_loader.h"
#include "data/sets/synthetic.h"
#include "experiments/attack_study/attack_cell.h"
#include "experiments/measures/batch_norm_average.h"
#include "experiments/measures/evaluation.h"
#include "experiments/measures/gaussian_baseline.h"
#include "experiments/measures/latents.h"
#include "experiments/robustness/image_statistics.h"
#include "experiments/robustness/model_cell.h"
#include "experiments/trust/trust_scores.h"
#include "layers/models/ib_inn.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/data/memory_source.h"
#include "tests/experiments/thrown_by.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_ranks.h"

namespace pal {
namespace {

using testing::on_ranks;
using testing::TemporaryFolder;
using testing::thrown_by;

ModelConfig small_config() {
  ModelConfig config = preset("ibinn-mnist");
  config.image_size = 8;
  config.classes = 4;
  config.blocks = {1, 1};
  config.widths = {8, 8};
  return config;
}

const InputSpec kSmallInput = {{0.3F}, {0.25F}, {"a", "b", "c", "d"}};

std::unique_ptr<Dataset> small_set(int64_t count) {
  ImageSet set = synthetic_set({.count = count, .height = 8, .width = 8, .classes = 4});
  set.name = "stripes";
  return memory_dataset(std::move(set));
}

/// All that an evaluation tells of an image.
std::vector<double> numbers_of(const ImageResult& image) {
  return {static_cast<double>(image.index),
          static_cast<double>(image.label),
          static_cast<double>(image.predicted),
          static_cast<double>(image.rank),
          image.loss_x,
          image.loss_y,
          image.loss_class,
          image.cross_entropy,
          image.log_density,
          image.confidence,
          image.entropy};
}

/// An evaluation with the sequence of what was observed.
struct Found {
  EvaluationResult result;
  std::vector<std::vector<double>> observed;
};

Found evaluated(const Dataset& set, EvaluationSpec spec, Communicator* ranks) {
  IbInn model(small_config(), 3);
  Found found;
  spec.ranks = ranks;
  spec.observe = [&](const ImageResult& image, const ClassScores& scores) {
    found.observed.push_back(numbers_of(image));
    for (const auto values : {scores.scores, scores.probabilities})
      found.observed.back().insert(found.observed.back().end(), values.begin(), values.end());
  };
  found.result = evaluate_model(model, kSmallInput, set, spec);
  return found;
}

void expect_equal(const Found& found, const Found& wanted) {
  EXPECT_EQ(found.observed, wanted.observed);
  ASSERT_EQ(found.result.images.size(), wanted.result.images.size());
  for (size_t i = 0; i < wanted.result.images.size(); ++i)
    EXPECT_EQ(numbers_of(found.result.images[i]), numbers_of(wanted.result.images[i])) << i;
  const EvaluationSummary& a = found.result.summary;
  const EvaluationSummary& b = wanted.result.summary;
  EXPECT_EQ(a.acc1, b.acc1);
  EXPECT_EQ(a.loss_x, b.loss_x);
  EXPECT_EQ(a.loss_y, b.loss_y);
  EXPECT_EQ(a.bits_per_dim, b.bits_per_dim);
  EXPECT_EQ(found.result.loss, wanted.result.loss);
  ASSERT_EQ(found.result.calibration.bins().size(), wanted.result.calibration.bins().size());
  for (size_t i = 0; i < wanted.result.calibration.bins().size(); ++i)
    EXPECT_EQ(found.result.calibration.bins()[i].entries,
              wanted.result.calibration.bins()[i].entries);
  EXPECT_EQ(found.result.calibration.ece(), wanted.result.calibration.ece());
  EXPECT_EQ(found.result.classwise->ece(), wanted.result.classwise->ece());
}

TEST(SharedEvaluation, FindsTheBitsOfOneProcess) {
  // Whole rounds and not, a short last batch and not, fewer images than ranks and than a batch.
  for (const int64_t count : {37, 24, 9, 3, 1}) {
    const auto set = small_set(count);
    EvaluationSpec spec;
    spec.batch_size = count == 37 ? 5 : (count == 3 ? 1 : 4);
    const Found wanted = evaluated(*set, spec, nullptr);
    ASSERT_EQ(wanted.observed.size(), static_cast<size_t>(count));
    for (int size = 1; size <= 4; ++size) {
      SCOPED_TRACE(std::to_string(count) + " images, ranks " + std::to_string(size));
      std::vector<Found> found(static_cast<size_t>(size));
      on_ranks(size, [&](Communicator& ranks) {
        found[static_cast<size_t>(ranks.rank())] = evaluated(*set, spec, &ranks);
      });
      for (const Found& of_rank : found) expect_equal(of_rank, wanted);
    }
  }
}

TEST(SharedEvaluation, TakesTheChosenImagesInTheirOrder) {
  const auto set = small_set(30);
  EvaluationSpec spec;
  spec.batch_size = 3;
  spec.indices = {29, 4, 17, 0, 8, 12, 16, 20, 21};
  spec.class_of_label = {2, 0, 1, 3};
  const Found wanted = evaluated(*set, spec, nullptr);
  std::vector<Found> found(2);
  on_ranks(2, [&](Communicator& ranks) {
    found[static_cast<size_t>(ranks.rank())] = evaluated(*set, spec, &ranks);
  });
  for (const Found& of_rank : found) expect_equal(of_rank, wanted);
  EXPECT_EQ(found[1].result.images[0].index, 29);
}

TEST(SharedEvaluation, AnErrorOfOneRankIsThrownOnAll) {
  const auto set = small_set(37);
  for (int bad = 0; bad < 3; ++bad) {
    std::vector<std::string> thrown(3);
    std::vector<size_t> seen(3);
    on_ranks(3, [&](Communicator& ranks) {
      IbInn model(small_config(), 3);
      EvaluationSpec spec;
      spec.batch_size = 4;
      spec.ranks = &ranks;
      int asked = 0;
      // Fails before the second batch.
      spec.stop = [&] {
        if (++asked == 2 && ranks.rank() == bad) fail(ErrorKind::data, "picture {} is bad", bad);
        return false;
      };
      const auto r = static_cast<size_t>(ranks.rank());
      spec.observe = [&](const ImageResult&, const ClassScores&) { ++seen[r]; };
      thrown[r] = thrown_by([&] { evaluate_model(model, kSmallInput, *set, spec); });
    });
    for (size_t r = 0; r < 3; ++r) {
      EXPECT_EQ(thrown[r], "3: picture " + std::to_string(bad) + " is bad");
      EXPECT_EQ(seen[r], 12U);
    }
  }
}

TEST(SharedEvaluation, AStopOfOneRankEndsAllInItsRound) {
  const auto set = small_set(60);
  std::vector<std::string> thrown(4);
  std::vector<size_t> seen(4);
  on_ranks(4, [&](Communicator& ranks) {
    IbInn model(small_config(), 3);
    EvaluationSpec spec;
    spec.batch_size = 3;
    spec.ranks = &ranks;
    int asked = 0;
    spec.stop = [&] { return ++asked == 3 && ranks.rank() == 2; };
    const auto r = static_cast<size_t>(ranks.rank());
    spec.observe = [&](const ImageResult&, const ClassScores&) { ++seen[r]; };
    thrown[r] = thrown_by([&] { evaluate_model(model, kSmallInput, *set, spec); });
  });
  for (size_t r = 0; r < 4; ++r) {
    EXPECT_EQ(thrown[r], "interrupted");
    EXPECT_EQ(seen[r], 24U);
  }
}

TEST(SharedEvaluation, WhatAnObserverThrowsIsThrownOnAll) {
  const auto set = small_set(21);
  // In an early round, and in the last.
  for (const int64_t index : {0, 20}) {
    std::vector<std::string> thrown(2);
    on_ranks(2, [&](Communicator& ranks) {
      IbInn model(small_config(), 3);
      EvaluationSpec spec;
      spec.batch_size = 4;
      spec.ranks = &ranks;
      spec.observe = [&](const ImageResult& image, const ClassScores&) {
        if (image.index == index && ranks.rank() == 0) fail(ErrorKind::environment, "disk full");
      };
      thrown[static_cast<size_t>(ranks.rank())] =
          thrown_by([&] { evaluate_model(model, kSmallInput, *set, spec); });
    });
    EXPECT_EQ(thrown, (std::vector<std::string>{"4: disk full", "4: disk full"})) << index;
  }
}

TEST(SharedEvaluation, ALossThatIsNotFiniteNamesItsImageOnAll) {
  const auto set = small_set(13);
  const auto message = [&](Communicator* ranks) {
    IbInn model(small_config(), 3);
    // A class mean.
    model.state().parameters.back()->value.data<float>()[0] =
        std::numeric_limits<float>::quiet_NaN();
    EvaluationSpec spec;
    spec.batch_size = 2;
    spec.ranks = ranks;
    return thrown_by([&] { evaluate_model(model, kSmallInput, *set, spec); });
  };
  const std::string wanted = message(nullptr);
  EXPECT_EQ(wanted.substr(0, 45), "5: stripes: the loss of image 0 is not finite");
  std::vector<std::string> thrown(3);
  on_ranks(
      3, [&](Communicator& ranks) { thrown[static_cast<size_t>(ranks.rank())] = message(&ranks); });
  EXPECT_EQ(thrown, std::vector<std::string>(3, wanted));
}

/// An evaluation of encoded pictures, some of which cannot be read: what is thrown, which are seen,
/// and which are noted.
struct PicturesSeen {
  std::string thrown;
  std::vector<int64_t> indices;
  std::map<int64_t, std::string> bad;
};

PicturesSeen pictures_seen(const std::vector<testing::Bytes>& files, double most_bad,
                           Communicator* ranks) {
  const auto set =
      encoded_dataset(std::make_unique<testing::MemorySource>(files), 8, 1, {"a", "b", "c"});
  BadImageLog log(most_bad, static_cast<int64_t>(files.size()));
  IbInn model(small_config(), 3);
  EvaluationSpec spec;
  spec.batch_size = 4;
  spec.workers = 2;
  spec.ranks = ranks;
  if (most_bad > 0.0) spec.bad_images = &log;
  PicturesSeen seen;
  spec.observe = [&](const ImageResult& image, const ClassScores&) {
    seen.indices.push_back(image.index);
  };
  seen.thrown = thrown_by([&] { evaluate_model(model, kSmallInput, *set, spec); });
  seen.bad = log.entries();
  return seen;
}

TEST(SharedEvaluation, BadPicturesAreKnownToAll) {
  auto files = testing::random_pictures(41);
  for (const size_t bad : {2U, 9U, 10U, 33U, 40U}) files[bad].resize(files[bad].size() / 3);
  // 40 is alone in its batch.
  files[40] = testing::random_pictures(1)[0];
  const PicturesSeen wanted = pictures_seen(files, 0.2, nullptr);
  EXPECT_EQ(wanted.thrown, "nothing");
  EXPECT_EQ(wanted.bad.size(), 4U);
  const PicturesSeen refused = pictures_seen(files, 0.0, nullptr);
  for (int size = 2; size <= 4; ++size) {
    std::vector<PicturesSeen> seen(static_cast<size_t>(size)), strict(seen), full(seen);
    on_ranks(size, [&](Communicator& ranks) {
      const auto r = static_cast<size_t>(ranks.rank());
      seen[r] = pictures_seen(files, 0.2, &ranks);
      strict[r] = pictures_seen(files, 0.0, &ranks);
      full[r] = pictures_seen(files, 0.05, &ranks);
    });
    for (size_t r = 0; r < seen.size(); ++r) {
      EXPECT_EQ(seen[r].thrown, "nothing");
      EXPECT_EQ(seen[r].indices, wanted.indices);
      EXPECT_EQ(seen[r].bad, wanted.bad);
      // The first bad picture of the first round is an error where none may be.
      EXPECT_EQ(strict[r].thrown, refused.thrown);
      // Each rank meets few, but together they are more than admitted.
      EXPECT_EQ(full[r].thrown, full[0].thrown);
      EXPECT_NE(full[r].thrown.find("3 of 41 pictures"), std::string::npos) << full[r].thrown;
    }
  }
}

TEST(SharedEvaluation, OtherPassesFindTheBitsOfOneProcessToo) {
  const auto set = small_set(23);
  TemporaryFolder folder;
  const auto numbers = [&](Communicator* ranks, const std::string& file) {
    IbInn model(small_config(), 3);
    EvaluationSpec spec;
    spec.batch_size = 5;
    spec.noise = false;
    spec.ranks = ranks;
    std::vector<double> all;
    const TrustScores trust = trust_scores(model, kSmallInput, *set, spec);
    for (const auto* values : {&trust.classes.scores, &trust.log_density, &trust.excess})
      all.insert(all.end(), values->begin(), values->end());
    all.insert(all.end(), trust.classes.labels.begin(), trust.classes.labels.end());
    all.push_back(static_cast<double>(trust.classes.classes));
    for (const ImageStatistics& image : image_statistics(model, kSmallInput, *set, spec, nullptr))
      all.insert(all.end(), {static_cast<double>(image.index), image.entropy, image.confidence,
                             image.log_density, image.complexity, image.excess, image.distance,
                             image.mean_distance, image.latent_norm, image.log_det});
    const GaussianBaseline gauss = fit_gaussian(*set, {}, ranks);
    all.insert(all.end(), gauss.mean.begin(), gauss.mean.end());
    all.insert(all.end(), gauss.variance.begin(), gauss.variance.end());
    all.push_back(static_cast<double>(
        write_latents(folder.path() + "/" + file, model, kSmallInput, *set, spec, {})));
    return all;
  };
  const std::vector<double> wanted = numbers(nullptr, "one");
  std::vector<std::vector<double>> found(3);
  on_ranks(3, [&](Communicator& ranks) {
    found[static_cast<size_t>(ranks.rank())] = numbers(&ranks, "three");
  });
  for (const auto& of_rank : found) EXPECT_EQ(of_rank, wanted);
  constexpr int64_t kMost = int64_t{1} << 24;
  EXPECT_EQ(read_file(folder.path() + "/three", kMost), read_file(folder.path() + "/one", kMost));
}

TEST(SharedEvaluation, CellsAreReadAndWrittenByTheFirst) {
  TemporaryFolder folder;
  ModelCell cell;
  cell.corruption = "fog";
  cell.severity = 2;
  cell.log_density = {0.25, -1.5};
  cell.confidence = {0.5, 0.75};
  cell.wrong = {0, 1};
  std::atomic<int> missing = 0, found = 0;
  on_ranks(3, [&](Communicator& ranks) {
    // The others' folders do not exist.
    const CellFiles files(ranks.rank() == 0 ? folder.path() : "/nowhere/at/all", {{"a", "b"}},
                          &ranks);
    if (!files.find("model", "fog", 2)) ++missing;
    files.save("model", cell);
    const auto again = files.find("model", "fog", 2);
    if (again && again->log_density == cell.log_density && again->wrong == cell.wrong &&
        again->has_density && again->severity == 2 && again->corruption == "fog")
      ++found;
  });
  EXPECT_EQ(missing, 3);
  EXPECT_EQ(found, 3);
}

/// A cell of two images, whose columns all differ.
AttackCell small_attack_cell() {
  AttackCell cell;
  double value = 0.5;
  for (const auto& [name, member] : AttackCell::columns())
    for (int i = 0; i < 2; ++i) (cell.*member).push_back(value++);
  cell.images = Tensor::empty({2, 3, 1, 1}, DType::f32, Tag::data, Device());
  for (int i = 0; i < 6; ++i) cell.images.data<float>()[i] = 0.1F * static_cast<float>(i);
  return cell;
}

TEST(SharedEvaluation, AttackedBatchesAreReadAndWrittenByTheFirst) {
  TemporaryFolder folder;
  const AttackCell cell = small_attack_cell();
  std::atomic<int> missing = 0, found = 0;
  std::vector<std::string> thrown(3);
  on_ranks(3, [&](Communicator& ranks) {
    const std::string own = ranks.rank() == 0 ? folder.path() : "/nowhere/at/all";
    const AttackFiles files(own, {{"a", "b"}}, &ranks);
    if (!files.find("model", "cw", "details", 7)) ++missing;
    files.save("model", "cw", "details", 7, cell);
    const auto again = files.find("model", "cw", "details", 7);
    bool same = again && again->images.shape() == cell.images.shape() &&
                std::equal(cell.images.data<float>(), cell.images.data<float>() + 6,
                           again->images.data<float>());
    for (const auto& [name, member] : AttackCell::columns())
      same = same && (*again).*member == cell.*member;
    if (same) ++found;
    thrown[static_cast<size_t>(ranks.rank())] =
        thrown_by([&] { files.find("model", "cw", "other details", 7); });
  });
  EXPECT_EQ(missing, 3);
  EXPECT_EQ(found, 3);
  for (const std::string& of_rank : thrown) {
    EXPECT_EQ(of_rank, thrown[0]);
    EXPECT_NE(of_rank.find("made with details details"), std::string::npos) << of_rank;
  }
}

TEST(ReaverageBatchNorm, IsTheImageWeightedMeanOverRanks) {
  const ImageSet set = synthetic_set({.count = 35, .height = 8, .width = 8, .classes = 4});
  LoaderOptions options;
  options.batch_size = 7;
  options.noise = false;
  options.mean = {0.3F};
  options.std = {0.25F};
  const auto statistics = [&](int rank, int size, Communicator* host,
                              const std::function<bool()>& stop = {}) {
    LoaderOptions own = options;
    own.share = {.rank = rank, .ranks = size};
    IbInn model(small_config(), 3);
    MemoryLoader loader(set, own);
    reaverage_batch_norm(model, loader, 4, stop, host);
    const Tensor& all = model.parameters().all_statistics();
    return std::vector<float>(all.data<float>(), all.data<float>() + all.numel());
  };
  std::vector<std::vector<float>> found(2);
  on_ranks(2, [&](Communicator& ranks) {
    found[static_cast<size_t>(ranks.rank())] = statistics(ranks.rank(), 2, &ranks);
  });
  EXPECT_EQ(found[0], found[1]);
  // Of seven images the first rank has three, the second four.
  const std::vector<float> first = statistics(0, 2, nullptr);
  const std::vector<float> second = statistics(1, 2, nullptr);
  EXPECT_NE(first, second);
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_NEAR(found[0][i], (3.0 * first[i] + 4.0 * second[i]) / 7.0,
                1e-6 * std::max(1.0F, std::abs(first[i])));
  // One rank is as before, and a stop on one ends all.
  on_ranks(1, [&](Communicator& ranks) {
    EXPECT_EQ(statistics(0, 1, &ranks), statistics(0, 1, nullptr));
  });
  std::vector<std::string> thrown(2);
  on_ranks(2, [&](Communicator& ranks) {
    int asked = 0;
    const auto stop = [&] { return ++asked == 2 && ranks.rank() == 1; };
    thrown[static_cast<size_t>(ranks.rank())] =
        thrown_by([&] { statistics(ranks.rank(), 2, &ranks, stop); });
  });
  EXPECT_EQ(thrown, (std::vector<std::string>{"interrupted", "interrupted"}));
}

}  // namespace
}  // namespace pal
