#include "data/pictures/transforms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/pictures/crops.h"
#include "data/pictures/resize.h"
#include "runtime/file.h"
#include "tests/data/image_writers.h"
#include "tests/data/test_pictures.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::jpeg_bytes;
using testing::JpegOptions;

Philox stream(uint64_t number = 0) { return Philox(9, RandomPurpose::augment, number); }

TransformSpec spec_of(CropKind crop, int64_t size, int64_t shorter = 0, int64_t channels = 3) {
  TransformSpec spec;
  spec.crop = crop;
  spec.size = size;
  spec.resize = shorter;
  spec.channels = channels;
  return spec;
}

Bytes views(std::span<const uint8_t> file, const TransformSpec& spec,
            const Philox& random = stream(), std::string* warning = nullptr) {
  Bytes out(static_cast<size_t>(view_count(spec) * spec.size * spec.size * spec.channels));
  const std::string text = make_views(file, "a", spec, random, out);
  if (warning != nullptr) *warning = text;
  return out;
}

TEST(Transforms, AreTorchvisionsWithinOneLevel) {
  int64_t cases = 0;
  for (const auto& item : testing::pillow_cases()) {
    if (item.kind == "resize") continue;
    SCOPED_TRACE(item.wanted);
    ASSERT_EQ(item.numbers.size(), 3U);
    const auto number = [&](size_t i) { return static_cast<int64_t>(item.numbers[i]); };
    const TransformSpec spec = spec_of(item.kind == "ten" ? CropKind::ten : CropKind::center,
                                       number(0), number(1), number(2));
    const Image wanted = read_image(item.wanted);
    EXPECT_LE(testing::distance(views(read_file(item.source, 1 << 20), spec), wanted.pixels).worst,
              1);
    ++cases;
  }
  EXPECT_GE(cases, 20);
}

TEST(Transforms, OfPartsOfAJpegAreThoseOfTheWhole) {
  const int sizes[][2] = {{131, 97}, {97, 131}, {30, 200}, {9, 11}, {1, 1}};
  for (const auto& [width, height] : sizes) {
    for (const int channels : {1, 3}) {
      JpegOptions options{.across = 2, .down = 2};
      if (channels == 1) options.stored = options.given = JCS_GRAYSCALE;
      const Bytes jpeg =
          jpeg_bytes(width, height, testing::rough_values(width, height, channels), options);
      const Bytes png = encode_png(decode_image(jpeg, "a"));
      for (const CropKind crop : {CropKind::random_resized, CropKind::center, CropKind::ten})
        for (const int64_t wanted : {1, 3})
          for (uint64_t number = 0; number < 6; ++number) {
            const TransformSpec spec = spec_of(crop, 28, 0, wanted);
            ASSERT_EQ(views(jpeg, spec, stream(number)), views(png, spec, stream(number)))
                << width << 'x' << height << ' ' << channels << ' ' << number;
          }
    }
  }
}

TEST(Transforms, RandomOnesAreResizedCrops) {
  const Bytes png = testing::png_bytes(80, 60, testing::rough_values(80, 60, 3));
  const Image image = decode_image(png, "a");
  const TransformSpec spec = spec_of(CropKind::random_resized, 24);
  for (uint64_t number = 0; number < 20; ++number) {
    const Region region = random_resized_crop({80, 60}, spec, stream(number));
    const Image part = testing::cut_out(image, region);
    const auto axis = [](int64_t length) {
      return ResizeWeights({0.0, static_cast<double>(length), 0, length, 24, 0, 24});
    };
    Bytes wanted(24 * 24 * 3);
    resize(part, 0, 0, axis(region.width), axis(region.height), wanted);
    EXPECT_EQ(views(png, spec, stream(number)), wanted);
  }
}

TEST(Transforms, ConvertChannels) {
  const Bytes grey =
      testing::png_bytes(9, 9, testing::rough_values(9, 9, 1), {.colour = PNG_COLOR_TYPE_GRAY});
  const TransformSpec spec = spec_of(CropKind::center, 9, 9);
  const Bytes one = views(grey, spec_of(CropKind::center, 9, 9, 1));
  EXPECT_EQ(one, testing::rough_values(9, 9, 1));
  const Bytes three = views(grey, spec);
  for (size_t i = 0; i < three.size(); ++i) ASSERT_EQ(three[i], one[i / 3]);
  const Bytes colour = testing::png_bytes(1, 1, {200, 100, 50});
  EXPECT_EQ(views(colour, spec_of(CropKind::center, 1, 1, 1)), (Bytes{124}));  // 124.2
}

TEST(Transforms, FastDecodeComesNear) {
  Bytes values;
  for (int y = 0; y < 400; ++y)
    for (int x = 0; x < 520; ++x)
      for (int c = 0; c < 3; ++c)
        values.push_back(static_cast<uint8_t>(40 + x / 4 + (c == 1 ? y / 5 : 0)));
  const Bytes jpeg = jpeg_bytes(520, 400, values, {.across = 2, .down = 2});
  for (const CropKind crop : {CropKind::random_resized, CropKind::center, CropKind::ten})
    for (const int64_t size : {24, 60, 150, 399})
      for (uint64_t number = 0; number < 4; ++number) {
        TransformSpec spec = spec_of(crop, size, size);
        const Bytes exact = views(jpeg, spec, stream(number));
        spec.fast_decode = true;
        EXPECT_LE(testing::distance(views(jpeg, spec, stream(number)), exact).worst, 3)
            << size << ' ' << number;
      }
}

TEST(Transforms, TurnUprightOnlyWhenAsked) {
  JpegOptions options{.quality = 100, .across = 1, .down = 1};
  options.exif = testing::exif_bytes(6, true);
  const Bytes values = testing::rough_values(16, 24, 3);
  const Bytes turned = jpeg_bytes(16, 24, values, options);
  options.exif.clear();
  const Bytes plain = jpeg_bytes(16, 24, values, options);
  TransformSpec spec = spec_of(CropKind::center, 16, 16);
  EXPECT_EQ(views(turned, spec), views(plain, spec));
  spec.exif = true;
  EXPECT_EQ(views(turned, spec), views(encode_png(decode_image(turned, "a")), spec));
  EXPECT_NE(views(turned, spec), views(plain, spec));

  testing::PngOptions with_exif;
  with_exif.more = [](png_structp png, png_infop info) {
    Bytes exif = testing::exif_bytes(6, false);
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size() - 6), exif.data() + 6);
  };
  const Bytes turned_png = testing::png_bytes(16, 24, values, with_exif);
  const Bytes plain_png = testing::png_bytes(16, 24, values);
  EXPECT_FALSE(read_image_header(turned_png, "a").upright);
  EXPECT_NE(views(turned_png, spec), views(plain_png, spec));
  spec.exif = false;
  EXPECT_EQ(views(turned_png, spec), views(plain_png, spec));
}

TEST(Transforms, WarnOfDamagedExifOnlyWhenItMatters) {
  JpegOptions options;
  options.exif = testing::exif_bytes(9, true);
  const Bytes file = jpeg_bytes(16, 24, testing::rough_values(16, 24, 3), options);
  TransformSpec spec = spec_of(CropKind::center, 16);
  std::string warning;
  views(file, spec, stream(), &warning);
  EXPECT_EQ(warning, "");
  spec.exif = true;
  views(file, spec, stream(), &warning);
  EXPECT_NE(warning.find("EXIF"), std::string::npos);
}

TEST(Transforms, NeverTakeACutFileForWhole) {
  const Bytes values = testing::rough_values(64, 48, 3);
  for (const Bytes& file :
       {jpeg_bytes(64, 48, values), jpeg_bytes(64, 48, values, {.progressive = true}),
        testing::png_bytes(64, 48, values)}) {
    for (const CropKind crop : {CropKind::random_resized, CropKind::center}) {
      const TransformSpec spec = spec_of(crop, 8);
      const Bytes wanted = views(file, spec);
      int accepted = 0;
      for (size_t size = 0; size < file.size(); size += size + 40 < file.size() ? 7 : 1) {
        Bytes made;
        std::string warning;
        const std::string message = data_error(
            [&] { made = views(std::span(file).first(size), spec, stream(), &warning); });
        if (message == "no error") {
          EXPECT_EQ(made, wanted);
          EXPECT_NE(warning, "");
          ++accepted;
        } else {
          EXPECT_EQ(message.rfind("a:", 0), 0U) << message;
        }
      }
      EXPECT_GE(accepted, 1);
    }
  }
}

TEST(Transforms, ManageExtremeShapes) {
  // Without a window 256 x 5,120,000 pixels would have to be made.
  const Bytes tall = testing::png_bytes(1, 20000, testing::rough_values(1, 20000, 3));
  const Image image = decode_image(tall, "a");
  const Bytes center = views(tall, spec_of(CropKind::center, 224));
  // The first row's middle is 2,559,888.5 / 256 = 9999.565 rows down.
  EXPECT_NEAR(center[0], 0.935 * image.pixels[3 * 9999] + 0.065 * image.pixels[3 * 10000], 1.5);
  EXPECT_EQ(views(tall, spec_of(CropKind::ten, 224)).size(), 10U * 224 * 224 * 3);
  EXPECT_NO_THROW(views(tall, spec_of(CropKind::random_resized, 224)));
}

TEST(Transforms, CheckTheirOptions) {
  const auto refused = [](auto change) {
    TransformSpec spec;
    change(spec);
    try {
      check_transform(spec);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::usage ? std::string(error.what()) : "another kind";
    }
    return std::string();
  };
  EXPECT_EQ(refused([](auto&) {}), "");
  EXPECT_EQ(refused([](auto& spec) { spec.resize = 224; }), "");
  EXPECT_EQ(refused([](auto& spec) { spec.size = 0; }), "image-size: expected 1 to 16384, got 0");
  EXPECT_NE(refused([](auto& spec) { spec.resize = 223; }).find("resize"), std::string::npos);
  EXPECT_NE(refused([](auto& spec) { spec.resize = -1; }), "");
  EXPECT_NE(refused([](auto& spec) { spec.scale_min = 0.0; }).find("scale"), std::string::npos);
  EXPECT_NE(refused([](auto& spec) { spec.scale_max = 0.05; }), "");
  EXPECT_NE(refused([](auto& spec) { spec.scale_min = NAN; }), "");
  EXPECT_NE(refused([](auto& spec) { spec.ratio_max = INFINITY; }).find("ratio"),
            std::string::npos);
  EXPECT_NE(refused([](auto& spec) { spec.ratio_min = 2.0; }), "");
  EXPECT_NE(refused([](auto& spec) { spec.channels = 2; }).find("channels"), std::string::npos);
  Bytes small(3);
  EXPECT_THROW(
      make_views(testing::png_bytes(1, 1, {1, 2, 3}), "a", TransformSpec(), stream(), small),
      Error);
}

}  // namespace
}  // namespace pal
