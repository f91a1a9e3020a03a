#include "experiments/attack_study/attack_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "layers/checkpoint/safetensors_header.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr int64_t kMostTargetBytes = int64_t{1} << 28;

/// The fields of a line, as targets_csv writes them: without quotes.
std::vector<std::string> fields_of(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

/// The target of each image that a file has a line for.
class TargetFile {
 public:
  explicit TargetFile(const std::string& path) : path_(path) {
    const std::vector<uint8_t> bytes = read_file(path, kMostTargetBytes);
    std::istringstream text(std::string(bytes.begin(), bytes.end()));
    for (std::string line; std::getline(text, line);) {
      ++line_;
      const std::vector<std::string> fields = fields_of(line);
      if (fields.size() == 1 && fields[0].empty()) continue;
      if (index_ < 0)
        read_header(fields);
      else
        read_line(fields);
    }
    if (index_ < 0)
      fail(ErrorKind::data, "--targets: {}: empty; expected the columns index and target", path);
  }

  const std::map<int64_t, int64_t>& targets() const { return target_of_; }

 private:
  void read_header(const std::vector<std::string>& names) {
    const auto place = [&](const char* name) {
      const auto at = std::ranges::find(names, name);
      if (at == names.end())
        fail(ErrorKind::data,
             "--targets: {}:{}: expected a first line with the columns index and target", path_,
             line_);
      return at - names.begin();
    };
    index_ = place("index");
    target_ = place("target");
  }

  void read_line(const std::vector<std::string>& fields) {
    const int64_t index = number(fields, index_, "index");
    if (!target_of_.emplace(index, number(fields, target_, "target")).second)
      fail(ErrorKind::data, "--targets: {}:{}: image {} has a line already", path_, line_, index);
  }

  int64_t number(const std::vector<std::string>& fields, std::ptrdiff_t place,
                 const char* name) const {
    const auto at = static_cast<size_t>(place);
    const std::string value = at < fields.size() ? fields[at] : std::string();
    char* rest = nullptr;
    const long long found = std::strtoll(value.c_str(), &rest, 10);
    if (value.empty() || rest != value.c_str() + value.size())
      fail(ErrorKind::data, "--targets: {}:{}: expected a whole number for {}, got {}", path_,
           line_, name, printable(value));
    return static_cast<int64_t>(found);
  }

  const std::string& path_;
  int64_t line_ = 0;
  std::ptrdiff_t index_ = -1, target_ = -1;  // columns
  std::map<int64_t, int64_t> target_of_;
};

}  // namespace

std::vector<int32_t> draw_targets(const OriginalImages& originals, int64_t classes, uint64_t seed) {
  expect(classes > 1, "attack: a model of one class has no target");
  std::vector<int32_t> targets;
  for (size_t i = 0; i < originals.index.size(); ++i) {
    const Philox random(seed, RandomPurpose::sample,
                        (static_cast<uint64_t>(originals.index[i]) << 8) + 253);
    const auto other = static_cast<int32_t>(random.below(0, static_cast<uint64_t>(classes - 1)));
    targets.push_back(other < originals.label[i] ? other : other + 1);
  }
  return targets;
}

std::vector<int32_t> read_targets(const std::string& path, const OriginalImages& originals,
                                  int64_t classes) {
  const TargetFile file(path);
  std::vector<int32_t> targets;
  for (size_t i = 0; i < originals.index.size(); ++i) {
    const int64_t index = originals.index[i];
    const auto found = file.targets().find(index);
    expect(found != file.targets().end(),
           "--targets: {}: no target for image {}; it needs a line for each of the {} images", path,
           index, originals.index.size());
    const int64_t target = found->second;
    expect(target >= 0 && target < classes,
           "--targets: {}: image {}: expected a class from 0 to {}, got {}", path, index,
           classes - 1, target);
    expect(target != originals.label[i],
           "--targets: {}: image {}: {} is its own class; a target is another one", path, index,
           target);
    targets.push_back(static_cast<int32_t>(target));
  }
  return targets;
}

std::string targets_csv(const OriginalImages& originals) {
  std::string text = "index,label,target\n";
  for (size_t i = 0; i < originals.index.size(); ++i)
    text += fmt::format("{},{},{}\n", originals.index[i], originals.label[i], originals.target[i]);
  return text;
}

}  // namespace pal
