// Training steps as graphs: how they get their images, when they are recorded anew, and how they
// make room.
#include "layers/training/train_step.h"

#include <gtest/gtest.h>

#include <optional>

#include "kernels/image/image.h"
#include "layers/models/ib_inn.h"
#include "tests/cuda/late_streams.h"
#include "tests/cuda/parity.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"
#ifdef PAL_EMULATE_CUDA
#include "tests/emulator/control.h"
#endif

namespace pal::test {
namespace {

using testing::expect_error;
using testing::seeded_batch;
using testing::tiny_config;

constexpr int64_t kImages = 3;

/// A model on the GPU and what trains it.
struct Training {
  explicit Training(bool use_graph, DType compute = DType::f32)
      : model(config(compute), 3), sgd(on_device(model)) {
    step.emplace(model, sgd, use_graph);
  }
  static ModelConfig config(DType compute) {
    ModelConfig config = tiny_config();
    config.compute = compute;
    return config;
  }
  static ParameterStore& on_device(IbInn& model) {
    model.to(gpu());
    return model.parameters();
  }
  Shape shape() const { return {kImages, 16, 16, 3}; }
  StepInput input(int i) {
    StepInput input;
    input.images = step->memory_for(shape());
    RandomBatchOf(*this, i).write(input.images);
    input.labels = seeded_batch(model.config(), kImages, static_cast<uint64_t>(i)).labels;
    input.update = {.learning_rate = 0.01 * (i + 1), .learning_rate_means = 0.02};
    return input;
  }
  /// A step with images of the number `i`.
  void run(int i) { run(input(i)); }
  void run(const StepInput& input) {
    step->run(input);
    if (step->pending() > 1) losses.push_back(step->take().loss);
  }
  void finish() {
    while (step->pending() > 0) losses.push_back(step->take().loss);
  }

  /// Levels on the host that a batch is made of.
  struct RandomBatchOf {
    RandomBatchOf(const Training& training, int i) : pixels(training.shape().numel()) {
      const Philox random(static_cast<uint64_t>(i), RandomPurpose::test);
      for (size_t at = 0; at < pixels.size(); ++at)
        pixels[at] = static_cast<uint8_t>(random.words(static_cast<uint32_t>(at))[0]);
    }
    void write(const Tensor& images) const {
      const std::vector<ImagePlacement> placements = {{.source = 0}, {.source = 1}, {.source = 2}};
      cuda::normalize_images(pixels, placements, {{0.5, 0.5, 0.5}, {0.3F, 0.3F, 0.3F}}, images);
    }
    std::vector<uint8_t> pixels;
  };

  IbInn model;
  Optimizer sgd;
  std::optional<TrainStep> step;
  std::vector<double> losses;
};

void expect_equal(Training& wanted, Training& found, const std::string& what) {
  wanted.finish();
  found.finish();
  EXPECT_EQ(wanted.losses, found.losses) << what;
  expect_same(wanted.model.parameters().all_values(), found.model.parameters().all_values(), what);
}

TEST(CudaTrainStep, ReadsWhatIsWrittenToItsMemoryInTime) {
  Training eager(false);
  for (int i = 0; i < 9; ++i) eager.run(i);
  for (const auto& late : LateStreams::choices()) {
    Training recorded(true);
    const LateStreams scope(late);
    for (int i = 0; i < 9; ++i) recorded.run(i);
    EXPECT_TRUE(recorded.step->by_graph());
    expect_equal(eager, recorded, "late");
  }
}

TEST(CudaTrainStep, GivesTheGraphsBufferOrMemoryOfItsOwn) {
  Training eager(false), recorded(true);
  const Shape shape = eager.shape();
  const Tensor first = eager.step->memory_for(shape);
  EXPECT_NE(first.raw(), eager.step->memory_for(shape).raw());
  const Tensor buffer = recorded.step->memory_for(shape);
  EXPECT_EQ(buffer.raw(), recorded.step->memory_for(shape).raw());
  EXPECT_EQ(recorded.step->memory_for({2, 16, 16, 3}).shape(), (Shape{2, 16, 16, 3}));
}

TEST(CudaTrainStep, RecordsAnewWhatDependsOnTheModel) {
  Training eager(false), recorded(true);
  int i = 0;
  const auto run_both = [&](const std::string& what) {
    for (int k = 0; k <= TrainStep::kWarmUps; ++k, ++i) {
      eager.run(i);
      recorded.run(i);
      EXPECT_EQ(recorded.step->by_graph(), k == TrainStep::kWarmUps) << what;
    }
    // Nothing has changed.
    eager.run(i);
    recorded.run(i++);
    EXPECT_TRUE(recorded.step->by_graph()) << what;
  };
  const auto change_both = [&](auto&& change) {
    change(eager.model);
    change(recorded.model);
  };
  run_both("at first");
  change_both([](IbInn& model) { model.set_average_count(2); });
  run_both("the average of running statistics");
  change_both([](IbInn& model) { model.set_policy(ActivationPolicy::store); });
  run_both("a policy");
  change_both([](IbInn& model) { model.set_policy({ActivationPolicy::store, TapeForm::lean}); });
  run_both("lean tapes");
  change_both([](IbInn& model) { model.set_policy({ActivationPolicy::tapes, TapeForm::narrow}); });
  run_both("narrow tapes, rebuilt inputs");
  change_both([](IbInn& model) {
    model.chain().set_options({.policies = {ActivationPolicy::invert}, .anchors = {2}});
  });
  run_both("an anchor");
  expect_equal(eager, recorded, "all of them");
  for (size_t b = 0; b < eager.model.state().buffers.size(); ++b)
    expect_same(*eager.model.state().buffers[b].tensor, *recorded.model.state().buffers[b].tensor,
                eager.model.state().buffers[b].name);
}

TEST(CudaTrainStep, RecordsTheHeadAndGoesOnAfterAWrongLabel) {
  Training eager(false), recorded(true);
  const auto run_both = [&](int first, bool head_only) {
    for (int i = first; i <= first + TrainStep::kWarmUps + 1; ++i)
      for (Training* const each : {&eager, &recorded}) {
        StepInput wrong = each->input(99);
        wrong.labels.data<int32_t>()[1] = static_cast<int32_t>(each->model.config().classes);
        expect_error(ErrorKind::usage, "label", [&] { each->run(wrong); });
        StepInput input = each->input(i);
        input.head_only = head_only;
        each->run(input);
      }
    EXPECT_TRUE(recorded.step->by_graph());
  };
  run_both(0, false);
  run_both(10, true);
  run_both(20, false);
  expect_equal(eager, recorded, "whole, head, whole");
}

TEST(CudaTrainStep, RefusesToRecordALearnedMixing) {
  for (const MixingKind mixing : {MixingKind::householder, MixingKind::conv1x1}) {
    ModelConfig config = tiny_config();
    config.mixing = mixing;
    IbInn model(config, 3);
    model.to(gpu());
    Optimizer sgd(model.parameters());
    expect_error(ErrorKind::usage, "a learned mixing is computed on the host",
                 [&] { TrainStep(model, sgd, true); });
    TrainStep(model, sgd, false);
  }
}

#ifdef PAL_EMULATE_CUDA
TEST(CudaTrainStep, GivesItsRecordingUpForWhatNeedsTheMemory) {
  Training eager(false), recorded(true);
  for (int i = 0; i < 5; ++i) {
    eager.run(i);
    recorded.run(i);
  }
  EXPECT_TRUE(recorded.step->by_graph());
  emulator::set_memory_limit(emulator::device_bytes() + 1000);
  const auto take_64_kib = [] { Tensor::empty({1 << 16}, DType::u8, Tag::data, gpu()); };
  EXPECT_NO_THROW(take_64_kib());
  emulator::set_memory_limit(0);
  // Recorded again at once.
  for (int i = 5; i < 8; ++i) {
    eager.run(i);
    recorded.run(i);
    EXPECT_TRUE(recorded.step->by_graph());
  }
  expect_equal(eager, recorded, "recorded twice");
}

TEST(CudaTrainStep, TakesTheMemoryOfAnotherOnesRecording) {
  Training first(true), second(true), eager(false);
  for (int i = 0; i < 5; ++i) {
    first.run(i);
    eager.run(i);
  }
  EXPECT_TRUE(first.step->by_graph());
  const int64_t nodes = first.step->graph_nodes();
  EXPECT_GT(nodes, 0);
  emulator::set_memory_limit(emulator::device_bytes() + 60000);
  for (int i = 0; i < 5; ++i) second.run(i);
  EXPECT_TRUE(second.step->by_graph());
  emulator::set_memory_limit(0);
  EXPECT_EQ(first.step->graph_nodes(), 0);
  expect_equal(eager, second, "the second");
  first.run(5);
  eager.run(5);
  EXPECT_TRUE(first.step->by_graph());
  expect_equal(eager, first, "the first");
}

TEST(CudaTrainStep, RecordsLaterWhatItHadNoMemoryToRecord) {
  // In bf16 the libraries read copies of the weights.
  Training eager(false, DType::bf16), recorded(true, DType::bf16);
  for (int i = 0; i < TrainStep::kWarmUps; ++i) {
    eager.run(i);
    recorded.run(i);
  }
  const StepInput input = recorded.input(TrainStep::kWarmUps);
  Allocator::of(gpu()).set_limit(Allocator::of(gpu()).stats().current_total + 20000);
  expect_error(ErrorKind::environment, "memory-limit", [&] { recorded.run(input); });
  Allocator::of(gpu()).set_limit(0);
  EXPECT_EQ(recorded.step->graph_nodes(), 0);
  const auto loss = [](Training& t) {
    const Tensor targets = Tensor::zeros({kImages, t.model.config().classes});
    for (int64_t n = 0; n < kImages; ++n) targets.data<float>()[n * targets.size(1)] = 1.0F;
    return t.model.evaluate(t.input(7).images, targets.to(gpu(), Tag::data), {}).loss();
  };
  EXPECT_EQ(loss(eager), loss(recorded));
  for (int i = TrainStep::kWarmUps; i < 6; ++i) {
    eager.run(i);
    recorded.run(i);
  }
  EXPECT_TRUE(recorded.step->by_graph());
  expect_equal(eager, recorded, "recorded at the second try");
}
#endif

}  // namespace
}  // namespace pal::test
