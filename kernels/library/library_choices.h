#pragma once
#include <map>
#include <optional>
#include <string>

// The algorithms that convolutions and matrix products were given, as text: what cuda_settings.h
// exports and imports, and a file of them for each kind of device.
namespace pal {

/// The name of an algorithm by the text of the problem that it computes.
using AlgorithmChoices = std::map<std::string, std::string>;

/// Under which name choices of a library hold that says its version ("cudnn9.19.0") on the GPU of
/// this process: "nvidia-h200-sm90-cudnn9.19.0".
std::string choices_device(const std::string& library);

/// The algorithm chosen or imported for a problem on a device; nothing if there is none.
/// Thread-safe, as all functions here.
std::optional<std::string> chosen_algorithm(const std::string& device, const std::string& problem);
/// Makes a choice, in place of an earlier one.
void choose_algorithm(const std::string& device, const std::string& problem,
                      const std::string& algorithm);

/// Where measured choices of a device are kept for later runs: in $XDG_CACHE_HOME or $HOME/.cache;
/// empty without either.
std::string choices_path(const std::string& device);
/// The choices in a file; none if there is no file or, with a warning, if it is broken.
AlgorithmChoices read_choices(const std::string& path);
/// Adds a choice to a file. A failure is only logged: the file saves time, nothing else.
void save_choice(const std::string& path, const std::string& problem, const std::string& algorithm);

}  // namespace pal
