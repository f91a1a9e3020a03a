#include "kernels/library/library_choices.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "kernels/library/cuda_settings.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/log.h"

namespace pal {
namespace {

using nlohmann::json;

constexpr int64_t kLargestFile = int64_t{16} << 20;

struct Table {
  std::mutex mutex;
  std::map<std::string, AlgorithmChoices> by_device;
};
Table& table() {
  static Table instance;
  return instance;
}

/// The strings of an object; nothing if there is anything else in it.
std::optional<AlgorithmChoices> choices_in(const json& object) {
  if (!object.is_object()) return std::nullopt;
  AlgorithmChoices choices;
  for (const auto& [problem, algorithm] : object.items()) {
    if (!algorithm.is_string()) return std::nullopt;
    choices[problem] = algorithm.get<std::string>();
  }
  return choices;
}

/// The choices in a file; none, and the reason, if it is broken.
AlgorithmChoices read(const std::string& path, std::string* why) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  try {
    const std::vector<uint8_t> bytes = read_file(path, kLargestFile);
    if (auto choices = choices_in(parse_json(std::string(bytes.begin(), bytes.end()))))
      return *std::move(choices);
    *why = path + ": is no table of algorithms";
  } catch (const Error& error) {
    *why = error.what();
  }
  return {};
}

}  // namespace

std::string library_choices() {
  const std::lock_guard lock(table().mutex);
  json all = json::object();
  for (const auto& [device, choices] : table().by_device) all[device] = choices;
  return json_text(all);
}

void set_library_choices(const std::string& text) {
  const json all = parse_json(text);
  std::map<std::string, AlgorithmChoices> by_device;
  bool good = all.is_object();
  if (good)
    for (const auto& [device, object] : all.items()) {
      const auto choices = choices_in(object);
      good = good && choices.has_value();
      if (choices) by_device[device] = *choices;
    }
  if (!good)
    fail(ErrorKind::data, "library choices: expected JSON {{device: {{problem: algorithm}}}}");
  const std::lock_guard lock(table().mutex);
  for (const auto& [device, choices] : by_device)
    for (const auto& [problem, algorithm] : choices) table().by_device[device][problem] = algorithm;
}

std::string choices_device(const std::string& library) {
  const cuda::DeviceInfo info = cuda::device_info();
  std::string name = fmt::format("{}-sm{}{}", info.name, info.major, info.minor);
  for (char& c : name)
    c = std::isalnum(static_cast<unsigned char>(c)) != 0
            ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
            : '-';
  return name + "-" + library;
}

std::optional<std::string> chosen_algorithm(const std::string& device, const std::string& problem) {
  const std::lock_guard lock(table().mutex);
  const auto choices = table().by_device.find(device);
  if (choices == table().by_device.end()) return std::nullopt;
  const auto found = choices->second.find(problem);
  if (found == choices->second.end()) return std::nullopt;
  return found->second;
}

void choose_algorithm(const std::string& device, const std::string& problem,
                      const std::string& algorithm) {
  const std::lock_guard lock(table().mutex);
  table().by_device[device][problem] = algorithm;
}

std::string choices_path(const std::string& device) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::string folder;
  if (cache != nullptr && *cache == '/')
    folder = cache;
  else if (home != nullptr && *home != '\0')
    folder = std::string(home) + "/.cache";
  else
    return {};
  return folder + "/palindrome/algorithms-" + device + ".json";
}

AlgorithmChoices read_choices(const std::string& path) {
  std::string why;
  AlgorithmChoices choices = read(path, &why);
  if (!why.empty()) log_warning("{}; algorithms are measured anew", why);
  return choices;
}

void save_choice(const std::string& path, const std::string& problem,
                 const std::string& algorithm) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  try {
    make_folders(std::filesystem::path(path).parent_path());
    // Other processes may have added theirs; a broken file, of which reading has warned, is lost.
    std::string ignored;
    AlgorithmChoices choices = read(path, &ignored);
    choices[problem] = algorithm;
    write_atomic(path, json_text(json(choices), 1) + "\n");
  } catch (const Error& error) {
    log_warning("{}; measured algorithms are not kept for later runs", error.what());
  }
}

}  // namespace pal
