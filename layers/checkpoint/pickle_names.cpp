#include "layers/checkpoint/pickle_names.h"

#include <array>
#include <utility>

namespace pal {
namespace {

struct Callable {
  const char* module;
  const char* name;
  PickleCallable what;
};
constexpr std::array<Callable, 4> kCallables = {
    {{"collections", "OrderedDict", PickleCallable::ordered_dict},
     {"torch._utils", "_rebuild_tensor_v2", PickleCallable::rebuild_tensor},
     {"torch._utils", "_rebuild_parameter", PickleCallable::rebuild_parameter},
     {"torch", "Size", PickleCallable::size}}};

constexpr std::array<std::pair<const char*, const char*>, 10> kStorageTypes = {
    {{"FloatStorage", "F32"},
     {"DoubleStorage", "F64"},
     {"HalfStorage", "F16"},
     {"BFloat16Storage", "BF16"},
     {"LongStorage", "I64"},
     {"IntStorage", "I32"},
     {"ShortStorage", "I16"},
     {"CharStorage", "I8"},
     {"ByteStorage", "U8"},
     {"BoolStorage", "BOOL"}}};

}  // namespace

std::optional<PickleCallable> pickle_callable(const std::string& module, const std::string& name) {
  for (const Callable& callable : kCallables)
    if (module == callable.module && name == callable.name) return callable.what;
  return std::nullopt;
}

std::optional<std::string> pickle_storage_type(const std::string& module, const std::string& name) {
  if (module != "torch" && module != "torch.cuda") return std::nullopt;
  for (const auto& [storage, dtype] : kStorageTypes)
    if (name == storage) return dtype;
  return std::nullopt;
}

}  // namespace pal
