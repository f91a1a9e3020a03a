#include "kernels/library/conv_choices.h"

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "kernels/library/cuda_settings.h"
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
  std::map<std::string, EngineChoices> by_device;
};
Table& table() {
  static Table instance;
  return instance;
}

/// The strings of an object; nothing if there is anything else in it.
std::optional<EngineChoices> choices_in(const json& object) {
  if (!object.is_object()) return std::nullopt;
  EngineChoices choices;
  for (const auto& [convolution, engine] : object.items()) {
    if (!engine.is_string()) return std::nullopt;
    choices[convolution] = engine.get<std::string>();
  }
  return choices;
}

/// The choices in a file; none, and the reason, if it is broken.
EngineChoices read(const std::string& path, std::string* why) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  try {
    const std::vector<uint8_t> bytes = read_file(path, kLargestFile);
    if (auto choices = choices_in(parse_json(std::string(bytes.begin(), bytes.end()))))
      return *std::move(choices);
    *why = path + ": is no table of convolution engines";
  } catch (const Error& error) {
    *why = error.what();
  }
  return {};
}

}  // namespace

std::string convolution_choices() {
  const std::lock_guard lock(table().mutex);
  json all = json::object();
  for (const auto& [device, choices] : table().by_device) all[device] = choices;
  return json_text(all);
}

void set_convolution_choices(const std::string& text) {
  const json all = parse_json(text);
  std::map<std::string, EngineChoices> by_device;
  bool good = all.is_object();
  if (good)
    for (const auto& [device, object] : all.items()) {
      const auto choices = choices_in(object);
      good = good && choices.has_value();
      if (choices) by_device[device] = *choices;
    }
  if (!good)
    fail(ErrorKind::data, "convolution choices: expected JSON {{device: {{convolution: engine}}}}");
  const std::lock_guard lock(table().mutex);
  for (const auto& [device, choices] : by_device)
    for (const auto& [convolution, engine] : choices)
      table().by_device[device][convolution] = engine;
}

std::optional<std::string> chosen_engine(const std::string& device,
                                         const std::string& convolution) {
  const std::lock_guard lock(table().mutex);
  const auto choices = table().by_device.find(device);
  if (choices == table().by_device.end()) return std::nullopt;
  const auto found = choices->second.find(convolution);
  if (found == choices->second.end()) return std::nullopt;
  return found->second;
}

void choose_engine(const std::string& device, const std::string& convolution,
                   const std::string& engine) {
  const std::lock_guard lock(table().mutex);
  table().by_device[device][convolution] = engine;
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
  return folder + "/palindrome/convolutions-" + device + ".json";
}

EngineChoices read_choices(const std::string& path) {
  std::string why;
  EngineChoices choices = read(path, &why);
  if (!why.empty()) log_warning("{}; convolution engines are measured anew", why);
  return choices;
}

void save_choice(const std::string& path, const std::string& convolution,
                 const std::string& engine) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  try {
    make_folders(std::filesystem::path(path).parent_path());
    // Other processes may have added theirs; a broken file, of which reading has warned, is lost.
    std::string ignored;
    EngineChoices choices = read(path, &ignored);
    choices[convolution] = engine;
    write_atomic(path, json_text(json(choices), 1) + "\n");
  } catch (const Error& error) {
    log_warning("{}; measured convolution engines are not kept for later runs", error.what());
  }
}

}  // namespace pal
