#include "layers/models/config.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;

/// A value of each field that is not its default.
const std::vector<std::pair<std::string, std::string>>& other_values() {
  static const std::vector<std::pair<std::string, std::string>> values = {
      {"arch", "my-net"},        {"image-size", "64"},
      {"channels", "3"},         {"classes", "7"},
      {"entry", "entry"},        {"entry-7x7", "true"},
      {"entry-width", "24"},     {"blocks", "1,2,3"},
      {"strides", "2,1,2"},      {"widths", "8,16,24"},
      {"subnet", "basic"},       {"coupling", "glow"},
      {"mixing", "householder"}, {"reflections", "5"},
      {"welling", "true"},       {"gin", "true"},
      {"clamp", "0.9"},          {"act-norm", "sigmoid"},
      {"act-norm-init", "0.37"}, {"subnet-gain", "1e-3"},
      {"dct", "orthonormal"},    {"dct-reported", "true"},
      {"latent-norm", "false"},  {"rank", "16"},
      {"mu-init", "4.25"},       {"head-permutation", "true"},
      {"compute", "bf16"},       {"family", "resnet"}};
  return values;
}

TEST(Config, EveryFieldCanBeSetAndRead) {
  ModelConfig config;
  const auto names = field_names();
  EXPECT_EQ(names.size(), other_values().size());
  for (const auto& [key, value] : other_values()) {
    EXPECT_EQ(std::count(names.begin(), names.end(), key), 1) << key;
    EXPECT_NE(field_text(config, key), value) << key;
    EXPECT_TRUE(set_field(config, key, value, "test"));
    // Numbers may come back in another notation of the same value.
    EXPECT_TRUE(key == "subnet-gain" || field_text(config, key) == value) << key;
  }
  EXPECT_EQ(config.subnet_gain, 1e-3);
  EXPECT_EQ(config.widths, (std::vector<int64_t>{8, 16, 24}));
  EXPECT_EQ(config.compute, DType::bf16);
}

TEST(Config, JsonKeepsEveryField) {
  std::vector<ModelConfig> configs;
  for (const std::string& name : preset_names()) configs.push_back(preset(name));
  configs.push_back(preset("ibinn-imagenet"));
  apply_paper_flavour(configs.back());
  configs.emplace_back();
  for (const auto& [key, value] : other_values()) set_field(configs.back(), key, value, "test");
  for (const ModelConfig& config : configs) {
    const ModelConfig back = config_from_json(to_json(config), "test");
    for (const std::string& key : field_names())
      EXPECT_EQ(field_text(back, key), field_text(config, key)) << key;
    EXPECT_EQ(to_json(back), to_json(config));
  }
}

TEST(Config, NumbersKeepTheirBits) {
  ModelConfig config;
  config.clamp = 0.1 + 0.2;
  config.mu_init = 1.0 / 3.0;
  const ModelConfig back = config_from_json(to_json(config), "test");
  EXPECT_EQ(back.clamp, config.clamp);
  EXPECT_EQ(back.mu_init, config.mu_init);
}

TEST(Config, RefusesValuesOfTheWrongKind) {
  ModelConfig config;
  const std::pair<const char*, const char*> wrong[] = {{"image-size", "28.5"},
                                                       {"image-size", ""},
                                                       {"image-size", "28x"},
                                                       {"image-size", "1e2"},
                                                       {"image-size", "99999999999999999999"},
                                                       {"clamp", "nan"},
                                                       {"clamp", "inf"},
                                                       {"clamp", "0,7"},
                                                       {"clamp", " 1"},
                                                       {"welling", "yes"},
                                                       {"welling", "1"},
                                                       {"blocks", ""},
                                                       {"blocks", "1,,2"},
                                                       {"blocks", "1,2,"},
                                                       {"blocks", "1;2"},
                                                       {"mixing", "Permutation"},
                                                       {"compute", "fp16"}};
  for (const auto& [key, value] : wrong) {
    const std::string before = to_json(config);
    expect_error(ErrorKind::usage, std::string("here: ") + key + ": expected",
                 [&] { set_field(config, key, value, "here"); });
    EXPECT_EQ(to_json(config), before);
  }
  expect_error(ErrorKind::usage, "mixing: expected one of none, swap, permutation, orthogonal",
               [&] { set_field(config, "mixing", "shuffle", "here"); });
  EXPECT_FALSE(set_field(config, "image_size", "28", "here"));
  EXPECT_FALSE(set_field(config, "", "28", "here"));
}

TEST(Config, RefusesJsonThatIsNoConfiguration) {
  for (const char* text : {"", "[]", "3", "{", "null", "{\"clamp\":0.7,}"})
    expect_error(ErrorKind::usage, "file: expected the configuration as a JSON object",
                 [&] { (void)config_from_json(text, "file"); });
  expect_error(ErrorKind::usage, "file: unknown configuration key 'colour'",
               [] { (void)config_from_json(R"({"colour": 3})", "file"); });
  for (const char* text :
       {R"({"image-size": "big"})", R"({"image-size": 28.5})", R"({"image-size": [28]})",
        R"({"image-size": null})", R"({"image-size": {}})"})
    expect_error(ErrorKind::usage, "file: image-size: expected a whole number",
                 [&] { (void)config_from_json(text, "file"); });
  expect_error(ErrorKind::usage, "widths: expected whole numbers",
               [] { (void)config_from_json(R"({"widths": [[1], 2]})", "file"); });
  // Depth does not cost stack.
  const std::string deep(100000, '[');
  EXPECT_THROW((void)config_from_json(R"({"widths": )" + deep, "file"), Error);
}

TEST(Preset, NamesAreKnownAndValid) {
  for (const std::string& name : preset_names()) {
    EXPECT_EQ(preset(name).arch, name);
    EXPECT_NO_THROW(validate(preset(name)));
    ModelConfig paper = preset(name);
    apply_paper_flavour(paper);
    EXPECT_NO_THROW(validate(paper));
    if (paper.family == ModelFamily::resnet) {
      EXPECT_EQ(to_json(paper), to_json(preset(name)));
      continue;
    }
    EXPECT_EQ(paper.mixing, MixingKind::orthogonal);
    EXPECT_EQ(paper.dct, DctMap::Flavour::orthonormal);
  }
  expect_error(
      ErrorKind::usage,
      "expected ibinn-imagenet, ibinn-small, ibinn-mnist, resnet50, resnet-small, got 'vgg'",
      [] { (void)preset("vgg"); });
}

TEST(Validate, IllegalImageSizesNameTheNearestLegalOnes) {
  const struct {
    const char* arch;
    int64_t size;
    const char* nearest;
  } cases[] = {{"ibinn-mnist", 30, "28 and 32"},
               {"ibinn-mnist", 3, "the nearest sizes are 4"},
               {"ibinn-small", 33, "32 and 40"},
               {"ibinn-imagenet", 225, "224 and 256"},
               {"ibinn-imagenet", 31, "the nearest sizes are 32"}};
  for (const auto& c : cases) {
    ModelConfig config = preset(c.arch);
    config.image_size = c.size;
    expect_error(ErrorKind::usage, "image-size: " + std::to_string(c.size) + " cannot be halved",
                 [&] { validate(config); });
    expect_error(ErrorKind::usage, c.nearest, [&] { validate(config); });
  }
  for (const int64_t legal : {28, 32}) {
    ModelConfig config = preset("ibinn-mnist");
    config.image_size = legal;
    EXPECT_NO_THROW(validate(config));
  }
}

TEST(Validate, NamesTheField) {
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"channels:", {"channels", "0"}},
      {"classes:", {"classes", "0"}},
      {"classes: 17 classes need", {"classes", "17"}},
      {"equally many in each", {"blocks", "4"}},
      {"blocks: expected 1 to 10000", {"blocks", "4,0"}},
      {"strides: expected 1 or 2, got 3", {"strides", "1,3"}},
      {"widths: expected 1", {"widths", "32,-1"}},
      {"entry-width:", {"entry-width", "0"}},
      {"use entry haar", {"entry", "entry"}},
      {"image-size: expected 1", {"image-size", "0"}},
      {"image-size: expected 1", {"image-size", "99999999"}},
      {"clamp: expected", {"clamp", "0"}},
      {"subnet-gain: expected", {"subnet-gain", "-1"}},
      {"rank: expected", {"rank", "-1"}},
      {"mu-init: expected", {"mu-init", "-1"}},
      {"act-norm-init: expected", {"act-norm-init", "0"}},
      {"welling: expected a fixed mixing", {"welling", "true"}},
      {"reflections: expected", {"reflections", "0"}},
      {"cifar is the stem of a ResNet", {"entry", "cifar"}}};
  for (const auto& [text, field] : cases) {
    ModelConfig config = preset("ibinn-mnist");
    config.mixing = MixingKind::householder;
    ASSERT_NO_THROW(validate(config));
    ASSERT_TRUE(set_field(config, field.first, field.second, "test"));
    expect_error(ErrorKind::usage, text, [&] { validate(config); });
  }
  // What a flow's latent space asks for says nothing about a ResNet, its skeleton does.
  ModelConfig resnet = preset("ibinn-mnist");
  resnet.family = ModelFamily::resnet;
  resnet.image_size = 37;
  resnet.classes = 1000000;
  resnet.rank = -1;
  EXPECT_NO_THROW(validate(resnet));
  for (const auto& [text, field] : {cases[0], cases[1], cases[4], cases[5], cases[7], cases[9]}) {
    ModelConfig config = resnet;
    ASSERT_TRUE(set_field(config, field.first, field.second, "test"));
    expect_error(ErrorKind::usage, text, [&] { validate(config); });
  }
  ModelConfig single = preset("ibinn-mnist");
  single.image_size = 4;
  EXPECT_NO_THROW(validate(single));
  single.rank = 3;
  expect_error(ErrorKind::usage, "rank: an image of 4x4 is pooled to single pixels",
               [&] { validate(single); });
}

}  // namespace
}  // namespace pal
