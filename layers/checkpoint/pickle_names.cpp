#include "layers/checkpoint/pickle_names.h"

#include <fmt/format.h>

#include <array>
#include <unordered_map>
#include <vector>

namespace pal {
namespace {

using GlobalKind = PickleGlobal::Kind;

struct Callable {
  const char* name;
  GlobalKind kind;
  PickleCall call;
  size_t least_arguments;
  size_t most_arguments;
};
constexpr std::array<Callable, 21> kCallables = {{
    {"collections.OrderedDict", GlobalKind::type, PickleCall::ordered_dict, 0, 1},
    {"collections.Counter", GlobalKind::type, PickleCall::counter, 0, 1},
    {"builtins.set", GlobalKind::type, PickleCall::members, 0, 1},
    {"torch.Size", GlobalKind::type, PickleCall::members, 0, 1},
    {"builtins.complex", GlobalKind::type, PickleCall::opaque, 0, 2},
    {"builtins.bytearray", GlobalKind::type, PickleCall::opaque, 0, 3},
    // How protocol 2 spells bytes.
    {"_codecs.encode", GlobalKind::function, PickleCall::opaque, 1, 3},
    {"torch.device", GlobalKind::type, PickleCall::opaque, 1, 2},
    {"torch.serialization._get_layout", GlobalKind::function, PickleCall::opaque, 1, 1},
    {"torch.nn.parameter.Parameter", GlobalKind::type, PickleCall::same_tensor, 1, 2},
    {"torch._utils._rebuild_parameter", GlobalKind::function, PickleCall::same_tensor, 3, 3},
    {"torch._utils._rebuild_parameter_with_state", GlobalKind::function, PickleCall::same_tensor, 4,
     4},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", GlobalKind::function,
     PickleCall::same_tensor, 4, 4},
    {"torch._utils._rebuild_tensor", GlobalKind::function, PickleCall::tensor, 4, 4},
    {"torch._utils._rebuild_tensor_v2", GlobalKind::function, PickleCall::tensor, 6, 7},
    {"torch._utils._rebuild_tensor_v3", GlobalKind::function, PickleCall::typed_tensor, 7, 8},
    {"torch._tensor._rebuild_from_type_v2", GlobalKind::function, PickleCall::attributed_tensor, 4,
     4},
    {"torch._utils._rebuild_qtensor", GlobalKind::function, PickleCall::arguments, 7, 7},
    {"torch._utils._rebuild_sparse_tensor", GlobalKind::function, PickleCall::arguments, 2, 2},
    {"torch._utils._rebuild_meta_tensor_no_storage", GlobalKind::function, PickleCall::arguments, 4,
     4},
    {"torch._utils._rebuild_wrapper_subclass", GlobalKind::function, PickleCall::arguments, 8, 8},
}};

struct ElementType {
  const char* dtype;
  /// Null for a type of later years, whose storages say nothing of it.
  const char* storage;
  PickleElement element;
};
constexpr std::array<ElementType, 32> kElementTypes = {{
    {"float32", "FloatStorage", {"F32", 4}},
    {"float64", "DoubleStorage", {"F64", 8}},
    {"float16", "HalfStorage", {"F16", 2}},
    {"bfloat16", "BFloat16Storage", {"BF16", 2}},
    {"int64", "LongStorage", {"I64", 8}},
    {"int32", "IntStorage", {"I32", 4}},
    {"int16", "ShortStorage", {"I16", 2}},
    {"int8", "CharStorage", {"I8", 1}},
    {"uint8", "ByteStorage", {"U8", 1}},
    {"bool", "BoolStorage", {"BOOL", 1}},
    {"complex64", "ComplexFloatStorage", {"C64", 8}},
    {"complex128", "ComplexDoubleStorage", {"complex128", 16}},
    {"quint8", "QUInt8Storage", {"quint8", 1}},
    {"qint8", "QInt8Storage", {"qint8", 1}},
    {"qint32", "QInt32Storage", {"qint32", 4}},
    {"quint4x2", "QUInt4x2Storage", {"quint4x2", 1}},
    {"quint2x4", "QUInt2x4Storage", {"quint2x4", 1}},
    {"uint16", nullptr, {"U16", 2}},
    {"uint32", nullptr, {"U32", 4}},
    {"uint64", nullptr, {"U64", 8}},
    {"float8_e4m3fn", nullptr, {"F8_E4M3", 1}},
    {"float8_e5m2", nullptr, {"F8_E5M2", 1}},
    {"float8_e4m3fnuz", nullptr, {"F8_E4M3FNUZ", 1}},
    {"float8_e5m2fnuz", nullptr, {"F8_E5M2FNUZ", 1}},
    {"float8_e8m0fnu", nullptr, {"F8_E8M0", 1}},
    {"float4_e2m1fn_x2", nullptr, {"float4_e2m1fn_x2", 1}},
    {"complex32", nullptr, {"complex32", 4}},
    {"bits8", nullptr, {"bits8", 1}},
    {"bits16", nullptr, {"bits16", 2}},
    {"bits1x8", nullptr, {"bits1x8", 1}},
    {"bits2x4", nullptr, {"bits2x4", 1}},
    {"bits4x2", nullptr, {"bits4x2", 1}},
}};

constexpr std::array<const char*, 5> kQuantizers = {"per_tensor_affine", "per_tensor_symmetric",
                                                    "per_channel_affine", "per_channel_symmetric",
                                                    "per_channel_affine_float_qparams"};

constexpr std::array<const char*, 10> kTensorTypes = {
    "Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"};

std::vector<PickleGlobal> make_globals() {
  std::vector<PickleGlobal> globals;
  for (const Callable& each : kCallables)
    globals.push_back({each.name, each.kind, each.call, each.least_arguments, each.most_arguments});
  const auto add = [&](std::string name, GlobalKind kind, const PickleElement& element = {"", 0}) {
    PickleGlobal& global = globals.emplace_back();
    global.name = std::move(name);
    global.kind = kind;
    global.element = element;
  };
  for (const ElementType& type : kElementTypes) {
    add(fmt::format("torch.{}", type.dtype), GlobalKind::dtype, type.element);
    if (type.storage == nullptr) continue;
    for (const char* module : {"torch", "torch.cuda"})
      add(fmt::format("{}.{}", module, type.storage), GlobalKind::storage, type.element);
  }
  add("torch.storage.UntypedStorage", GlobalKind::storage, {"U8", 1});
  for (int bits = 1; bits < 8; ++bits)
    for (const char* sign : {"", "u"})
      add(fmt::format("torch.{}int{}", sign, bits), GlobalKind::constant);
  for (const char* quantizer : kQuantizers)
    add(fmt::format("torch.{}", quantizer), GlobalKind::constant);
  add("torch.Tensor", GlobalKind::constant);
  for (const char* module : {"torch", "torch.sparse", "torch.cuda", "torch.cuda.sparse"})
    for (const char* type : kTensorTypes)
      add(fmt::format("{}.{}Tensor", module, type), GlobalKind::constant);
  return globals;
}

const std::vector<PickleGlobal>& globals() {
  static const std::vector<PickleGlobal> table = make_globals();
  return table;
}

}  // namespace

std::optional<size_t> find_pickle_global(const std::string& module, const std::string& name) {
  static const std::unordered_map<std::string, size_t> places = [] {
    std::unordered_map<std::string, size_t> by_name;
    for (size_t i = 0; i < globals().size(); ++i) by_name.emplace(globals()[i].name, i);
    return by_name;
  }();
  const auto found =
      places.find(fmt::format("{}.{}", module == "__builtin__" ? "builtins" : module, name));
  if (found == places.end()) return std::nullopt;
  return found->second;
}

const char* pickle_storage_name(const std::string& dtype_name) {
  for (const ElementType& type : kElementTypes)
    if (type.element.dtype_name == dtype_name) return type.storage;
  return nullptr;
}

const PickleGlobal& pickle_global(size_t place) { return globals().at(place); }

}  // namespace pal
