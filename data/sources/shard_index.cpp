#include "data/sources/shard_index.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "data/sources/index_cache.h"
#include "data/sources/parallel_io.h"
#include "runtime/error.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr const char* kShardCache = "shards2";

CacheWriter pack(const ShardIndex& index) {
  CacheWriter writer;
  for (const FileStamp& stamp : index.stamps) writer.stamp(stamp);
  writer.numbers(index.firsts);
  writer.names(index.samples.pictures);
  writer.numbers(index.samples.begins);
  writer.numbers(index.samples.sizes);
  writer.numbers(index.samples.labels);
  writer.number(index.samples.members);
  writer.texts(index.samples.warnings);
  return writer;
}

/// The kept index, if it is whole and every shard is as it was.
std::optional<ShardIndex> unpack(CacheReader reader, const std::vector<std::string>& paths) {
  ShardIndex index;
  for (const std::string& path : paths) {
    index.stamps.push_back(reader.stamp());
    if (stamp_of(path) != index.stamps.back()) return {};
  }
  index.firsts = reader.numbers();
  TarSamples& samples = index.samples;
  samples.pictures = reader.names();
  samples.begins = reader.numbers();
  samples.sizes = reader.numbers();
  samples.labels = reader.numbers();
  samples.members = reader.number();
  samples.warnings = reader.texts();
  const size_t count = samples.begins.size();
  const bool whole = reader.at_end() && index.firsts.size() == paths.size() &&
                     std::ranges::is_sorted(index.firsts) && index.firsts[0] == 0 &&
                     index.firsts.back() <= samples.count() &&
                     samples.count() == static_cast<int64_t>(count) &&
                     samples.sizes.size() == count && samples.labels.size() == count;
  return whole ? std::optional(std::move(index)) : std::nullopt;
}

std::optional<ShardIndex> recall(const IndexCache& cache, const std::vector<std::string>& paths) {
  auto reader = cache.load();
  if (!reader) return {};
  try {
    return unpack(std::move(*reader), paths);
  } catch (const Error&) {
    return {};
  }
}

template <typename T>
void append(std::vector<T>& all, const std::vector<T>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

ShardIndex index_shards(const std::vector<std::string>& paths) {
  ShardIndex index;
  index.stamps.resize(paths.size());
  std::vector<TarSamples> parts(paths.size());
  parallel_io(paths.size(), [&](size_t i) {
    const FileReader archive(paths[i], one_line(paths[i]));
    archive.expect_jumps();
    index.stamps[i] = archive.stamp();
    parts[i] = parse_tar(archive);
  });
  TarSamples& all = index.samples;
  for (TarSamples& part : parts) {
    index.firsts.push_back(all.count());
    all.pictures.append(part.pictures);
    append(all.begins, part.begins);
    append(all.sizes, part.sizes);
    append(all.labels, part.labels);
    append(all.warnings, part.warnings);
    all.members += part.members;
    part = {};  // a million names need not be in memory twice
  }
  return index;
}

}  // namespace

ShardIndex open_shards(const std::vector<std::string>& paths, const std::string& cache_folder) {
  std::string key;
  std::error_code ignored;
  for (const std::string& path : paths)
    key += std::filesystem::absolute(path, ignored).lexically_normal().string() + '\0';
  const IndexCache cache(cache_folder, kShardCache, key);
  if (auto index = recall(cache, paths)) return std::move(*index);
  const int64_t started = stamp_clock();
  ShardIndex index = index_shards(paths);
  const bool settled = std::ranges::all_of(
      index.stamps, [&](const FileStamp& stamp) { return is_settled(stamp, started); });
  if (settled) cache.store(pack(index));
  return index;
}

}  // namespace pal
