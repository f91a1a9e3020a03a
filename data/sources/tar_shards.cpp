#include "data/sources/tar_shards.h"

#include <algorithm>
#include <set>
#include <utility>

#include "data/sources/hasher.h"
#include "data/sources/shard_index.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

class TarShards : public PictureSource {
 public:
  TarShards(std::string name, std::vector<std::string> paths, std::vector<std::string> class_names,
            ShardIndex index)
      : name_(std::move(name)),
        paths_(std::move(paths)),
        class_names_(std::move(class_names)),
        index_(std::move(index)) {
    check_labels();
    Hasher hasher;
    for (const std::string& class_name : class_names_) hasher.add(class_name);
    const TarSamples& samples = index_.samples;
    for (int64_t i = 0; i < samples.count(); ++i) {
      hasher.add(samples.pictures[i]);
      hasher.add(samples.sizes[static_cast<size_t>(i)]);
      hasher.add(samples.labels[static_cast<size_t>(i)]);
    }
    fingerprint_ = hasher.value();
  }

  const std::string& name() const override { return name_; }
  int64_t count() const override { return index_.samples.count(); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int32_t label(int64_t index) const override {
    return static_cast<int32_t>(index_.samples.labels[static_cast<size_t>(index)]);
  }
  std::string item_name(int64_t index) const override {
    return one_line(paths_[shard_of(index)]) + ":" + one_line(index_.samples.pictures[index]);
  }
  uint64_t fingerprint() const override { return fingerprint_; }

  void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const override {
    const size_t shard = shard_of(index);
    const int64_t size = index_.samples.sizes[static_cast<size_t>(index)];
    const FileReader file(paths_[shard], item_name(index));
    if (file.size() != index_.stamps[shard].size)
      fail(ErrorKind::data, "{}: the shard has {} bytes, {} when it was indexed", file.name(),
           file.size(), index_.stamps[shard].size);
    if (size > most)
      fail(ErrorKind::data, "{}: {} bytes, expected at most {}", file.name(), size, most);
    bytes.resize(static_cast<size_t>(size));
    file.read(index_.samples.begins[static_cast<size_t>(index)], bytes);
  }

 private:
  size_t shard_of(int64_t index) const {
    // The last that begins at or before it: empty shards begin where the next one does.
    const auto after = std::ranges::upper_bound(index_.firsts, index);
    return static_cast<size_t>(after - index_.firsts.begin()) - 1;
  }

  void check_labels() {
    const auto& labels = index_.samples.labels;
    expect(!labels.empty(), "{}: no pictures", name_);
    const auto largest = std::ranges::max_element(labels);
    if (class_names_.empty())
      for (int64_t c = 0; c <= *largest; ++c) class_names_.push_back(std::to_string(c));
    expect(class_names_.size() > 1, "{}: one class; expected at least two", name_);
    if (*largest >= static_cast<int64_t>(class_names_.size()))
      fail(ErrorKind::data, "{}: label {}, but there are {} class names",
           item_name(largest - labels.begin()), *largest, class_names_.size());
  }

  std::string name_;
  std::vector<std::string> paths_;
  std::vector<std::string> class_names_;
  ShardIndex index_;
  uint64_t fingerprint_ = 0;
};

void report(const PictureSource& source, size_t shards, const std::vector<std::string>& warnings) {
  constexpr size_t kMost = 3;
  for (size_t i = 0; i < std::min(kMost, warnings.size()); ++i) log_warning("{}", warnings[i]);
  if (warnings.size() > kMost)
    log_warning("{}: {} more shards are bent", source.name(), warnings.size() - kMost);
  log_info("{}: {} pictures in {} classes, {} shards", source.name(), source.count(),
           source.class_names().size(), shards);
}

}  // namespace

std::unique_ptr<PictureSource> tar_shards(const std::vector<std::string>& paths,
                                          const std::string& name,
                                          std::vector<std::string> class_names,
                                          const std::string& cache) {
  expect(!paths.empty(), "{}: no tar shards", one_line(name));
  std::set<std::string> seen;
  for (const std::string& path : paths)
    expect(seen.insert(path).second, "{}: {} comes twice", one_line(name), one_line(path));
  ShardIndex index = open_shards(paths, cache);
  const std::vector<std::string> warnings = index.samples.warnings;
  auto source =
      std::make_unique<TarShards>(one_line(name), paths, std::move(class_names), std::move(index));
  report(*source, paths.size(), warnings);
  return source;
}

}  // namespace pal
