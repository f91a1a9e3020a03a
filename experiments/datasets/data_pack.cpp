#include "experiments/datasets/data_pack.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "data/archives/tar_writer.h"
#include "data/batches/order.h"
#include "data/pictures/crops.h"
#include "data/pictures/image_file.h"
#include "data/pictures/jpeg_encoder.h"
#include "data/pictures/resize.h"
#include "data/sets/set_layout.h"
#include "data/sources/class_names.h"
#include "data/sources/image_folder.h"
#include "experiments/datasets/jobs.h"
#include "experiments/datasets/set_folder.h"
#include "experiments/report/job_clock.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostShards = 1'000'000;
constexpr int64_t kMostBytes = 1 << 30;
constexpr int64_t kMostSide = 65'500;  ///< of a JPEG

/// The whole image with other sides.
Image resized(const Image& image, const Extent& size) {
  const auto axis = [](int64_t length, int64_t outputs) {
    return ResizeWeights({0.0, static_cast<double>(length), 0, length, outputs, 0, outputs});
  };
  Image out;
  out.width = size.width;
  out.height = size.height;
  out.channels = image.channels;
  out.pixels.resize(static_cast<size_t>(size.height * out.row()));
  resize(image, 0, 0, axis(image.width, size.width), axis(image.height, size.height), out.pixels);
  return out;
}

/// Replaces the file of a picture that is to be reduced.
void reduce(std::vector<uint8_t>& bytes, const std::string& name, const PackOptions& o) {
  const ImageHeader header = read_image_header(bytes, name, o.limits);
  if (std::min(header.width, header.height) <= o.resize || !header.upright) return;
  const Image image = decode_image(bytes, name, o.limits, false);
  const Extent size = resized_extent({image.width, image.height}, o.resize);
  if (std::max(size.width, size.height) > kMostSide) return;
  bytes = encode_jpeg(resized(image, size), {.quality = o.quality});
}

/// KEY.jpg and KEY.cls. The key is the picture's place in the shuffled order.
void add_sample(TarWriter& tar, const PictureSource& source, int64_t index, int64_t place,
                const PackOptions& o, std::vector<uint8_t>& bytes) {
  source.read(index, bytes, kMostBytes);
  if (sniff_format(bytes) == ImageFormat::unknown)
    fail(ErrorKind::data, "{}: neither PNG nor JPEG; find all such files with pal-data check",
         source.item_name(index));
  if (o.resize > 0) reduce(bytes, source.item_name(index), o);
  const ImageFormat format = sniff_format(bytes);
  const std::string key = fmt::format("{:08}", place);
  tar.add(key + (format == ImageFormat::png ? ".png" : ".jpg"), bytes);
  const std::string label = std::to_string(source.label(index));
  tar.add(key + ".cls", {reinterpret_cast<const uint8_t*>(label.data()), label.size()});
}

std::string shard_path(const std::string& folder, const std::string& part, int64_t shard) {
  return fmt::format("{}/{}-{:06}.tar", folder, part, shard);
}

void write_part(const std::string& name, const PictureSource& source, int64_t shards,
                const std::string& folder, const PackOptions& o) {
  const int64_t count = source.count();
  const std::vector<int64_t> order = epoch_order(count, o.seed, 0);
  const JobClock clock;
  std::atomic<int64_t> written = 0;
  run_jobs(
      shards, std::min(o.workers, shards),
      [&](int64_t shard) {
        std::vector<uint8_t> bytes;
        write_atomic(shard_path(folder, name, shard), [&](const ByteSink& sink) {
          TarWriter tar(sink);
          const int64_t end = count * (shard + 1) / shards;
          for (int64_t place = count * shard / shards; place < end; ++place) {
            add_sample(tar, source, order[static_cast<size_t>(place)], place, o, bytes);
            ++written;
          }
          tar.finish();
        });
      },
      [&](int64_t) { o.show(clock.text(name, written, count)); });
}

std::string class_lines(const std::vector<std::string>& names) {
  std::string lines;
  for (const std::string& name : names) {
    expect(one_line(name) == name, "{}: a class of this name does not fit in classes.txt",
           one_line(name));
    lines += name + "\n";
  }
  return lines;
}

/// Whether a path lies in a folder or is it, whatever links lead there.
bool lies_in(const fs::path& path, const fs::path& folder) {
  const fs::path whole = canonical_path(fs::absolute(folder));
  const fs::path inner = canonical_path(fs::absolute(path));
  return std::ranges::mismatch(whole, inner).in1 == whole.end();
}

/// A part of the set, and how many shards it becomes.
struct PackedPart {
  const char* name;
  std::unique_ptr<PictureSource> source;
  int64_t shards;
};

/// The training part and those beside it, whose shards are about as large.
std::vector<PackedPart> packed_parts(const PackOptions& o) {
  const SetLayout layout = layout_of(o.folder);
  const bool folders = layout.kind == LayoutKind::class_folders && !layout.whole();
  expect(folders, "{}: expected class folders in train/ and perhaps val/ and test/",
         one_line(o.folder));
  for (const auto& [split, paths] : layout.parts)
    expect(
        !lies_in(o.output, paths[0]),
        "--output: {} lies in {}, whose class folders hold pictures alone; choose another folder",
        one_line(o.output), one_line(paths[0]));
  const std::string& training = layout.parts.at(part_taken(layout, Split::train))[0];
  std::vector<PackedPart> parts;
  parts.push_back({"train", image_folder(training), o.shards});
  const PictureSource& train = *parts[0].source;
  const int64_t most = std::min(kMostShards, train.count());
  expect(o.shards >= 1 && o.shards <= most, "--shards: expected 1 to {}, got {}", most, o.shards);
  for (const auto& [split, name] :
       {std::pair(Split::validation, "val"), std::pair(Split::test, "test")}) {
    if (!layout.has(split)) continue;
    auto source = image_folder(layout.parts.at(split)[0], index_cache_folder(),
                               {training, train.class_names(), true});
    const int64_t count = source->count();
    const int64_t shards =
        std::clamp<int64_t>((o.shards * count + train.count() / 2) / train.count(), 1, count);
    parts.push_back({name, std::move(source), shards});
  }
  return parts;
}

/// Throws data if a shard that was packed before is gone.
void expect_shards(const std::vector<PackedPart>& parts, const std::string& folder) {
  for (const PackedPart& part : parts)
    for (int64_t shard = 0; shard < part.shards; ++shard) {
      const std::string path = shard_path(folder, part.name, shard);
      if (!path_is_file(path))
        fail(ErrorKind::data, "{}: was packed there and is gone; remove the folder to pack anew",
             one_line(path));
    }
}

}  // namespace

PackResult pack_shards(const PackOptions& o) {
  expect(o.resize >= 0 && o.resize <= kMostSide, "--resize: expected 0 to {}, got {}", kMostSide,
         o.resize);
  const std::vector<PackedPart> parts = packed_parts(o);
  const std::vector<std::string>& names = parts[0].source->class_names();
  const std::string classes = class_lines(names);
  std::string settings = fmt::format("pack --seed {} --shards {}", o.seed, o.shards);
  if (o.resize > 0) settings += fmt::format(" --resize {} --quality {}", o.resize, o.quality);
  for (const PackedPart& part : parts)
    settings += fmt::format(" {} {:016x}", part.name, part.source->fingerprint());
  SetFolder set(o.output, settings);
  if (set.ready()) {
    expect_shards(parts, set.folder());
    return {set.folder()};
  }
  PackResult made{set.folder(), true};
  for (const PackedPart& part : parts) {
    write_part(part.name, *part.source, part.shards, set.files(), o);
    made.pictures += part.source->count();
    made.shards += part.shards;
  }
  write_atomic(fmt::format("{}/{}", set.files(), kClassFile), classes);
  set.finish(
      fmt::format("Shards of labelled pictures in WebDataset's convention: KEY.jpg or KEY.png, and "
                  "KEY.cls with\n"
                  "the label, a line of classes.txt counted from 0. {} pictures in {} classes.\n",
                  made.pictures, names.size()));
  return made;
}

}  // namespace pal
