#pragma once
// The names that a pickle may ask for.
#include <optional>
#include <string>

namespace pal {

/// The functions and classes that a checkpoint may call.
enum class PickleCallable { ordered_dict, rebuild_tensor, rebuild_parameter, size };

/// The function or class of this name if a checkpoint may call it, else none.
std::optional<PickleCallable> pickle_callable(const std::string& module, const std::string& name);
/// The element type, as safetensors names it, of the storage class of this name; none if there is
/// no such class.
std::optional<std::string> pickle_storage_type(const std::string& module, const std::string& name);

}  // namespace pal
