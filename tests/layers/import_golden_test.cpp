// Published checkpoints, converted and loaded, against the golden results of the same networks.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "layers/checkpoint/torch_file.h"
#include "layers/models/export_model.h"
#include "layers/models/import_model.h"
#include "layers/models/transfer.h"
#include "tests/support/golden.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::expect_close;
using testing::GoldenFile;

/// Published files (.pt, or packed as .pt.gz) whose results are there, with the file of results.
struct Pair {
  std::string published;
  std::string results;
};

std::vector<Pair> golden_pairs() {
  std::vector<Pair> pairs;
  for (const std::string& results : testing::golden_files("model_")) {
    const std::filesystem::path path(results);
    const std::string stem = path.stem().string();
    for (const std::string& name : {stem, stem + "_legacy"})
      for (const char* suffix : {".pt", ".pt.gz"})
        if (const auto published = path.parent_path() / (name + suffix);
            std::filesystem::exists(published))
          pairs.push_back({published.string(), results});
  }
  return pairs;
}

/// The path itself, or that of an unpacked copy.
std::string unpacked(const std::string& path, const testing::TemporaryFolder& folder) {
  if (!path.ends_with(".gz")) return path;
  const std::string copy = folder.file("published.pt");
  std::ofstream out(copy, std::ios::binary);
  const gzFile in = ::gzopen(path.c_str(), "rb");
  std::vector<char> piece(1 << 16);
  for (int got = 1; in != nullptr && got > 0;) {
    got = ::gzread(in, piece.data(), static_cast<unsigned>(piece.size()));
    out.write(piece.data(), std::max(got, 0));
  }
  ::gzclose(in);
  return copy;
}

class ImportGolden : public ::testing::TestWithParam<Pair> {
 protected:
  void SetUp() override {
    const std::string converted = folder_.file("converted.safetensors");
    const auto source = open_tensor_source(unpacked(GetParam().published, folder_));
    save_checkpoint(converted, import_model(*source, {}).checkpoint);
    loaded_ = load_model(converted, [](ModelConfig& config) { config.dct_reported = true; });
    model_ = &flow_of(loaded_, converted);
  }

  /// z_fc, whose entries the head permutes, and z_rest.
  void expect_latent(const Tensor& z) const {
    const int64_t mean_dims = golden_.tensor("eval.z_fc").size(1);
    const Tensor fc = Tensor::empty({z.size(0), mean_dims});
    const Tensor order = golden_.tensor("output_permutation");
    for (int64_t n = 0; n < z.size(0); ++n)
      for (int64_t i = 0; i < mean_dims; ++i)
        fc.data<float>()[n * mean_dims + i] =
            z.data<float>()[n * z.size(1) + order.data<int32_t>()[i]];
    expect_close(golden_, "eval.z_fc", fc);
    expect_close(golden_, "eval.z_rest", z.slice_channels(mean_dims, z.size(1) - mean_dims));
  }

  /// Golden logits are l_y - ||z||^2 / 2.
  void expect_logits(const Tensor& scores, const Tensor& z) const {
    const Tensor logits = scores.to(DType::f64);
    for (int64_t n = 0; n < z.size(0); ++n) {
      double square = 0.0;
      for (int64_t i = 0; i < z.size(1); ++i)
        square += std::pow(testing::value_at(z, n * z.size(1) + i), 2);
      for (int64_t y = 0; y < logits.size(1); ++y)
        logits.data<double>()[n * logits.size(1) + y] -= square / 2.0;
    }
    expect_close(golden_, "eval.logits", logits);
  }

  void expect_mean(const std::string& name, const Tensor& per_sample) const {
    double sum = 0.0;
    for (const double value : testing::values_of(per_sample)) sum += value;
    const double mean = sum / static_cast<double>(per_sample.numel());
    expect_close(golden_, name, testing::tensor_with({1}, DType::f64, {mean}));
  }

  testing::TemporaryFolder folder_;
  GoldenFile golden_{GetParam().results};
  LoadedModel loaded_;
  IbInn* model_ = nullptr;
};

TEST_P(ImportGolden, GivesTheResultsOfThePublishedNetwork) {
  const NoGradGuard no_grad;
  const Tensor x = golden_.tensor("x");
  const auto latent = model_->forward(Variable(x), Phase::evaluate);
  expect_latent(latent.y.value());
  expect_close(golden_, "eval.logdet", latent.log_det.value());
  LossSpec loss;
  loss.beta = golden_.config()["beta"];
  const LossResult result = model_->evaluate(x, golden_.tensor("y"), loss);
  expect_logits(result.scores, latent.y.value());
  expect_close(golden_, "eval.nll_joint_per_sample", result.nll_joint);
  expect_mean("eval.nll_joint", result.nll_joint);
  expect_mean("eval.nll_class", result.nll_class);
  expect_mean("eval.cat_ce", result.cross_entropy);
  expect_close(golden_, "eval.reconstruction", model_->inverse(latent.y.value()));
}

TEST_P(ImportGolden, FindsTheArchitecture) {
  const auto wanted = golden_.config();
  const ModelConfig& config = model_->config();
  EXPECT_EQ(config.image_size, wanted["input"][1].get<int64_t>());
  EXPECT_EQ(config.classes, wanted["classes"].get<int64_t>());
  EXPECT_EQ(config.rank, wanted["rank"].get<int64_t>());
  EXPECT_EQ(config.entry_width, wanted["base_width"].get<int64_t>());
  EXPECT_EQ(config.blocks, wanted["blocks"].get<std::vector<int64_t>>());
  EXPECT_EQ(config.strides, wanted["strides"].get<std::vector<int64_t>>());
  EXPECT_EQ(config.mixing,
            wanted["permute_soft"].get<bool>() ? MixingKind::orthogonal : MixingKind::permutation);
}

TEST_P(ImportGolden, GivesItsNetworkToAnotherRun) {
  const Checkpoint converted = load_checkpoint(folder_.file("converted.safetensors"));
  ModelConfig config = model_->config();
  config.classes -= 1;
  IbInn other(config, 3);
  InputSpec input;
  for (int64_t i = 0; i < config.classes; ++i) input.class_names.push_back(std::to_string(i));
  const TransferReport report = transfer_state(converted, "file", input, other);
  EXPECT_TRUE(report.network_loaded);
  EXPECT_TRUE(report.differences.empty());
  EXPECT_EQ(report.made_new, (std::vector<std::string>{"mu_mean", "mu_alpha"}));
  const NoGradGuard no_grad;
  const Tensor x = golden_.tensor("x");
  testing::expect_near(other.forward(Variable(x), Phase::evaluate).y.value(),
                       model_->forward(Variable(x), Phase::evaluate).y.value(), 0.0);
}

TEST_P(ImportGolden, GoesBackToWhatWasPublished) {
  export_model(folder_.file("again.pt"), loaded_, "converted");
  const TorchFile again(folder_.file("again.pt"));
  const auto published = open_tensor_source(unpacked(GetParam().published, folder_));
  size_t wanted = 0;
  for (const SourceTensor& tensor : published->tensors()) {
    if (tensor.name.starts_with("opt.") || tensor.name.starts_with("inn.tmp_var_")) continue;
    ++wanted;
    const SourceTensor* found = again.find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
    ASSERT_EQ(found->dtype_name, tensor.dtype_name) << tensor.name;
    if (tensor.name.ends_with("weight") && tensor.shape.size() == 2) {
      // The DCT's matrices were computed in float32.
      std::vector<float> theirs(static_cast<size_t>(tensor.numel()));
      std::vector<float> ours(theirs.size());
      published->read_floats(tensor, theirs);
      again.read_floats(*found, ours);
      for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], theirs[i], 3e-7) << tensor.name;
      continue;
    }
    EXPECT_EQ(again.TensorSource::read(*found), published->read(tensor)) << tensor.name;
  }
  EXPECT_EQ(again.tensors().size(), wanted);
}

INSTANTIATE_TEST_SUITE_P(Files, ImportGolden, ::testing::ValuesIn(golden_pairs()),
                         [](const auto& each) {
                           const std::filesystem::path path(each.param.published);
                           std::string name = path.filename().string();
                           std::ranges::replace_if(
                               name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

// Another set need not hold published files.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ImportGolden);

}  // namespace
}  // namespace pal
