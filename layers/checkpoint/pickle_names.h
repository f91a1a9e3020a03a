#pragma once
// The names that a pickle may ask for.
#include <optional>
#include <string>

namespace pal {

enum class PickleCallable { ordered_dict, rebuild_tensor, rebuild_parameter, size };

/// The function or class of this name that a checkpoint may call.
std::optional<PickleCallable> pickle_callable(const std::string& module, const std::string& name);
/// The element type of the storage class of this name.
std::optional<std::string> pickle_storage_type(const std::string& module, const std::string& name);

}  // namespace pal
