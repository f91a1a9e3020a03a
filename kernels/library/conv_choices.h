#pragma once
#include <map>
#include <optional>
#include <string>

// The engines that convolutions were given, as text: what cuda_settings.h exports and imports, and
// a file of them for each kind of device.
namespace pal {

/// The name of an engine by the text of a convolution.
using EngineChoices = std::map<std::string, std::string>;

/// The engine chosen or imported for a convolution on a device; nothing if there is none.
/// Thread-safe, as all functions here.
std::optional<std::string> chosen_engine(const std::string& device, const std::string& convolution);
/// Makes a choice, in place of an earlier one.
void choose_engine(const std::string& device, const std::string& convolution,
                   const std::string& engine);

/// Where measured choices of a device are kept for later runs: in $XDG_CACHE_HOME or $HOME/.cache;
/// empty without either.
std::string choices_path(const std::string& device);
/// The choices in a file; none if there is no file or, with a warning, if it is broken.
EngineChoices read_choices(const std::string& path);
/// Adds a choice to a file. A failure is only logged: the file saves time, nothing else.
void save_choice(const std::string& path, const std::string& convolution,
                 const std::string& engine);

}  // namespace pal
