#include "layers/checkpoint/pickle.h"

#include <gtest/gtest.h>

#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/torch_writer.h"

namespace pal {
namespace {

namespace build = testing::pickle;
using testing::bytes_of;
using Kind = PickleValue::Kind;

Pickle parse(const std::string& text, const PickleLimits& limits = {}) {
  const std::vector<uint8_t> bytes = bytes_of(text);
  const auto access = std::make_unique<MemoryReader>(bytes, "f");
  return parse_pickle(*access, 0, access->size(), limits);
}

void expect_refused(const std::string& text, const std::string& message,
                    const PickleLimits& limits = {}) {
  testing::expect_error(ErrorKind::data, message, [&] { parse(text, limits); });
}

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

int64_t integer(const std::string& text) {
  const Pickle pickle = parse(text);
  EXPECT_EQ(pickle.top().kind, Kind::integer);
  return pickle.top().integer;
}

TEST(Pickle, ReadsPlainValues) {
  EXPECT_EQ(parse("N.").top().kind, Kind::none);
  EXPECT_EQ(parse("\x88.").top().integer, 1);
  EXPECT_EQ(parse("\x89.").top().integer, 0);
  EXPECT_EQ(integer("K\xff."), 255);
  EXPECT_EQ(integer("M\xff\xfe."), 0xfeff);
  EXPECT_EQ(integer("J\xfe\xff\xff\xff."), -2);
  EXPECT_EQ(integer(bytes({0x8a, 0, '.'})), 0);
  EXPECT_EQ(integer(bytes({0x8a, 1, 0x80, '.'})), -128);
  EXPECT_EQ(integer(bytes({0x8a, 2, 0x80, 0, '.'})), 128);
  EXPECT_EQ(integer(bytes({0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0x80, '.'})), INT64_MIN);
  EXPECT_EQ(parse(bytes({0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, '.'})).top().kind, Kind::wide_integer);
  // 0.07 as pickle.dumps(0.07, 2) writes it.
  EXPECT_EQ(parse(bytes({'G', 0x3f, 0xb1, 0xeb, 0x85, 0x1e, 0xb8, 0x51, 0xec, '.'})).top().real,
            0.07);
  EXPECT_EQ(parse(build::text("w\xc3\xa9") + ".").top().text, "w\xc3\xa9");
  EXPECT_EQ(parse("U\3abc.").top().text, "abc");
  EXPECT_EQ(parse("K\1.tail").end, 3);
}

TEST(Pickle, ReadsContainersAndSharesWhatIsRemembered) {
  const Pickle list =
      parse(bytes({0x80, 2, ']', '(', 'K', 1, 'K', 2, 'K', 3, 0x86, '}', 'e', '.'}));
  ASSERT_EQ(list.top().kind, Kind::list);
  ASSERT_EQ(list.top().items.size(), 3U);
  EXPECT_EQ(list.values[list.top().items[1]].items.size(), 2U);
  EXPECT_EQ(list.values[list.top().items[2]].kind, Kind::dict);
  const Pickle shared = parse(bytes({']', 'q', 5, 'h', 5, 'h', 5, 0x87, '.'}));
  EXPECT_EQ(shared.top().items, (std::vector<uint32_t>{0, 0, 0}));
  const Pickle wide = parse(bytes({'N', 'r', 1, 2, 3, 4, 'j', 1, 2, 3, 4, 0x86, '.'}));
  EXPECT_EQ(wide.top().items, (std::vector<uint32_t>{0, 0}));
  const Pickle dict =
      parse("}(" + build::text("a") + "K\1" + build::text("b") + "K\2u" + build::text("c") + "Ns.");
  EXPECT_EQ(dict.top().items.size(), 6U);
}

TEST(Pickle, ReadsProtocolFour) {
  // pickle.dumps(collections.OrderedDict(a=1), 4)
  const std::string text =
      bytes({0x80, 4, 0x95, 0x2c, 0, 0, 0, 0, 0, 0, 0, 0x8c, 11}) + "collections" +
      bytes({0x94, 0x8c, 11}) + "OrderedDict" +
      bytes({0x94, 0x93, 0x94, ')', 'R', 0x94, 0x8c, 1, 'a', 0x94, 'K', 1, 's', '.'});
  const Pickle pickle = parse(text);
  EXPECT_EQ(pickle.top().kind, Kind::dict);
  EXPECT_EQ(pickle.top().items.size(), 2U);
  expect_refused(bytes({0x80, 5, 'N', '.'}), "asks for protocol 5");
}

TEST(Pickle, RebuildsTensorsOfStorages) {
  const std::string storage = build::storage("HalfStorage", "7", 20);
  const Pickle pickle = parse("]" + build::parameter(build::tensor(storage, 2, {3, 4}, {4, 1})) +
                              "a" + build::tensor(storage, 19, {}, {}) + "a" +
                              build::tensor(storage, 20, {0, 5}, {1, 1}) + "a.");
  ASSERT_EQ(pickle.tensors.size(), 3U);
  ASSERT_EQ(pickle.storages.size(), 1U);
  EXPECT_EQ(pickle.storages[0].dtype_name, "F16");
  EXPECT_EQ(pickle.storages[0].count, 20);
  EXPECT_EQ(pickle.tensors[0].view.shape, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(pickle.tensors[0].view.offset, 2);
  const Pickle size = parse(build::global("torch", "Size") + "(" + build::tuple({2, 3}) + "tR.");
  EXPECT_EQ(size.top().items.size(), 2U);
  // Python 2 gave an ordered dictionary its entries as a list of pairs.
  const Pickle pairs = parse(build::global("collections", "OrderedDict") + "(](](K\1K\2eetR.");
  EXPECT_EQ(pairs.top().items.size(), 2U);
}

/// A tensor of four floats, from the storage "0".
std::string four_floats() {
  return build::tensor(build::storage("FloatStorage", "0", 4), 0, {2, 2}, {2, 1});
}

/// A call of a name with arguments that are there already.
std::string call(const std::string& module, const std::string& name, const std::string& arguments) {
  return build::global(module, name) + "(" + arguments + "tR";
}

TEST(Pickle, ReadsPastWhatPyTorchsSafeLoaderAccepts) {
  const std::string number = "G" + std::string(8, '\0');
  const std::string bits = "U\2ab";
  const std::string latin = build::text("\xc3\xa9") + build::text("latin1");
  const std::string list = "](K\1K\2e";
  const std::string values[] = {
      call("collections", "Counter", "}(K\3K\1K\6K\1u"),
      call("collections", "Counter", ""),
      build::global("collections", "OrderedDict") + ")\x81" + build::text("k") + "Ns",
      call("__builtin__", "set", list),
      call("builtins", "set", "]"),
      "\x8f",
      call("__builtin__", "complex", number + number),
      call("__builtin__", "bytearray", latin),
      build::global("__builtin__", "bytearray") + ")R",
      call("_codecs", "encode", latin),
      call("torch", "device", build::text("cpu")),
      call("torch", "device", build::text("cuda") + "K\1"),
      call("torch", "Size", build::tuple({2, 3})),
      call("torch.serialization", "_get_layout", build::text("torch.strided")),
      build::global("torch", "float32"),
      build::global("torch", "bfloat16"),
      build::global("torch", "float8_e4m3fn"),
      build::global("torch", "uint4"),
      build::global("torch", "per_channel_affine"),
      build::global("torch", "FloatTensor"),
      build::global("torch.cuda.sparse", "HalfTensor"),
      build::global("torch", "Tensor"),
      build::global("torch.nn.parameter", "Parameter"),
      call("torch._utils", "_rebuild_meta_tensor_no_storage",
           build::global("torch", "float32") + build::tuple({2}) + build::tuple({1}) + "\x89"),
      bits};
  for (const std::string& value : values) {
    const Pickle pickle =
        parse("}(" + build::text("value") + value + build::text("w") + four_floats() + "u.");
    ASSERT_EQ(pickle.top().kind, Kind::dict) << value;
    EXPECT_EQ(pickle.top().items.size(), 4U) << value;
    EXPECT_EQ(pickle.tensors.size(), 1U) << value;
    EXPECT_EQ(pickle.values[pickle.top().items[3]].kind, Kind::tensor) << value;
  }
  const Pickle counts = parse(values[0] + ".");
  EXPECT_EQ(counts.top().kind, Kind::dict);
  EXPECT_EQ(counts.top().items.size(), 4U);
  EXPECT_EQ(parse(values[3] + ".").top().items.size(), 2U);
  EXPECT_EQ(parse(values[6] + ".").top().kind, Kind::opaque);
}

TEST(Pickle, RebuildsTensorsOfEveryKindThatHasOne) {
  const std::string tensor = four_floats();
  const std::string state = "}" + build::text("tag") + "K\1s";
  const std::string storage = build::storage("FloatStorage", "0", 4);
  const std::string place =
      storage + build::integer(0) + build::tuple({2, 2}) + build::tuple({2, 1});
  const std::string same[] = {
      tensor,
      call("torch._utils", "_rebuild_tensor", place),
      call("torch._utils", "_rebuild_parameter_with_state",
           tensor + "\x88" + build::ordered_dict() + state),
      build::global("torch.nn.parameter", "Parameter") + "(" + tensor + "\x88t\x81",
      call("torch.nn.parameter", "Parameter", tensor),
      call("torch._utils", "_rebuild_device_tensor_from_cpu_tensor",
           tensor + build::global("torch", "float32") + build::text("xla:0") + "\x89"),
      call("torch._tensor", "_rebuild_from_type_v2",
           build::global("torch._utils", "_rebuild_tensor_v2") + build::global("torch", "Tensor") +
               "(" + place + "\x89" + build::ordered_dict() + "t" + state),
      call("torch._utils", "_rebuild_tensor_v2",
           place + "\x89" + build::ordered_dict() + "}" + build::text("neg") + "\x89s")};
  for (const std::string& text : same) {
    const Pickle pickle = parse(text + ".");
    ASSERT_EQ(pickle.top().kind, Kind::tensor) << text;
    const PickleTensor& found = pickle.tensors.at(static_cast<size_t>(pickle.top().integer));
    EXPECT_EQ(found.dtype_name, "F32");
    EXPECT_EQ(found.item_bytes, 4);
    EXPECT_EQ(found.view.shape, (std::vector<int64_t>{2, 2}));
  }
  const Pickle complex =
      parse(build::tensor(build::storage("ComplexFloatStorage", "0", 2), 0, {2}, {1}) + ".");
  EXPECT_EQ(complex.tensors[0].dtype_name, "C64");
  EXPECT_EQ(complex.tensors[0].item_bytes, 8);
  // A sparse tensor is what it is made of.
  const Pickle sparse = parse(
      call("torch._utils", "_rebuild_sparse_tensor",
           build::text("torch.sparse_coo") + "(" + tensor + tensor + build::tuple({2, 2}) + "t") +
      ".");
  EXPECT_EQ(sparse.top().kind, Kind::tuple);
  EXPECT_EQ(sparse.tensors.size(), 2U);
}

TEST(Pickle, RebuildsTensorsWhoseStorageDoesNotTellTheType) {
  const auto typed = [](const std::string& type, int64_t bytes, int64_t count, int64_t offset = 0) {
    const std::string storage =
        "(" + build::text("storage") + build::global("torch.storage", "UntypedStorage") +
        build::text("0") + build::text("cpu") + build::integer(bytes) + "tQ";
    return call("torch._utils", "_rebuild_tensor_v3",
                storage + build::integer(offset) + build::tuple({count}) + build::tuple({1}) +
                    "\x89" + build::ordered_dict() + build::global("torch", type)) +
           ".";
  };
  const struct {
    const char* type;
    const char* name;
    int64_t bytes;
  } cases[] = {{"uint16", "U16", 2},
               {"uint64", "U64", 8},
               {"float8_e4m3fn", "F8_E4M3", 1},
               {"complex32", "complex32", 4},
               {"bits16", "bits16", 2}};
  for (const auto& each : cases) {
    const Pickle pickle = parse(typed(each.type, 3 * each.bytes, 2, 1));
    EXPECT_EQ(pickle.tensors[0].dtype_name, each.name);
    EXPECT_EQ(pickle.tensors[0].item_bytes, each.bytes);
    EXPECT_EQ(pickle.storages[0].dtype_name, "U8");
    expect_refused(typed(each.type, 3 * each.bytes - 1, 2, 1), "a view runs past the 2 elements");
  }
  expect_refused(typed("Tensor", 4, 1), "needs a dtype of a tensor, found \"torch.Tensor\"");
  expect_refused(build::tensor(build::storage("DoubleStorage", "0", INT64_MAX), 0, {1}, {1}) + ".",
                 "more than any file holds");
}

TEST(Pickle, RefusesWhatPyTorchsSafeLoaderRefuses) {
  for (const char* name : {"builtins\nfrozenset",
                           "builtins\nslice",
                           "builtins\nbytes",
                           "builtins\ngetattr",
                           "__builtin__\neval",
                           "__builtin__\nobject",
                           "argparse\nNamespace",
                           "numpy\ndtype",
                           "numpy._core.multiarray\nscalar",
                           "numpy.core.multiarray\n_reconstruct",
                           "collections\ndefaultdict",
                           "collections\ndeque",
                           "_codecs\ndecode",
                           "functools\npartial",
                           "pathlib\nPosixPath",
                           "datetime\ndatetime",
                           "torch\nstorage",
                           "torch\nfloat33",
                           "torch.storage\n_load_from_bytes",
                           "torch._utils\n_import_dotted_name",
                           "torch\ndevice.__init__",
                           "posix\nsystem",
                           "sys\nexit"})
    expect_refused("c" + std::string(name) + "\n.", "which no checkpoint needs");
  // Frozen sets, bytes and byte arrays of later protocols, memo and stack instructions of old ones.
  const std::string codes = "BCPISLFV012pgld\x91\x90\x8b\x8e\x96\x98\x83\x84";
  for (const char code : codes)
    expect_refused(std::string("N") + code, "is none that checkpoints need");
  expect_refused(bytes({0x92}), "NEWOBJ_EX: makes an object");
  const std::string float32 = build::global("torch", "float32");
  expect_refused(float32 + ")R.", "calls \"torch.float32\", which no checkpoint needs");
  expect_refused(float32 + ")\x81.", "calls \"torch.float32\"");
  expect_refused(build::global("torch._utils", "_rebuild_tensor_v2") + ")\x81.",
                 "makes an object of \"torch._utils._rebuild_tensor_v2\", which is no class");
  expect_refused(build::global("collections", "OrderedDict") + "(]t\x81.", "with arguments");
  expect_refused(call("torch", "device", "") + ".",
                 "torch.device has 0 arguments, expected 1 to 2");
  expect_refused(call("collections", "Counter", "]") + ".", "needs a dictionary as counts");
  expect_refused(call("torch.nn.parameter", "Parameter", "N") + ".", "needs a tensor as tensor");
  const std::string outer = build::global("torch._tensor", "_rebuild_from_type_v2");
  expect_refused(outer + "(" + outer + float32 + ")NtR.", "calls itself");
  expect_refused(outer + "(" + float32 + float32 + ")NtR.", "calls \"torch.float32\"");
  // A state belongs to dictionaries alone.
  expect_refused(four_floats() + "}b.", "needs a dictionary as what takes a state, found a tensor");
  expect_refused(call("torch", "device", build::text("cpu")) + "}b.", "found another value");
  expect_refused(call("torch._utils", "_rebuild_tensor_v2",
                      build::storage("FloatStorage", "0", 1) + build::integer(0) +
                          build::tuple({1}) + build::tuple({1}) + "\x89" + build::ordered_dict() +
                          "}" + build::text("neg") + "\x88s") +
                     ".",
                 "a tensor that is to be taken with \"neg\"");
}

TEST(Pickle, RefusesNamesThatNoCheckpointNeeds) {
  expect_refused("cos\nsystem\n(" + build::text("true") + "tR.",
                 "f:0: pickle, GLOBAL: asks for \"os.system\"");
  for (const char* name : {"torch\nload", "torch\nFooStorage", "builtins\neval", "torch.nn\nSize"})
    expect_refused("c" + std::string(name) + "\n.", "which no checkpoint needs");
  expect_refused(build::text("os") + build::text("popen") + "\x93.", "STACK_GLOBAL: asks for");
  expect_refused("ios\nsystem\n.", "INST: makes an object");
  expect_refused(build::global("torch.nn.modules.linear", "Linear") + ")\x81.", "asks for");
  expect_refused(bytes({0x8b, '.'}), "instruction: 0x8b is none that checkpoints need");
  expect_refused("c" + std::string(500, 'x') + "\n", "a name of more than 200 bytes");
  expect_refused(build::global("torch", "FloatStorage") + ")R.", "calls \"torch.FloatStorage\"");
  expect_refused("N)R.", "needs a class as what is called, found None");
  expect_refused("NNb.", "needs a dictionary as what takes a state, found None");
}

TEST(Pickle, RefusesViewsBeyondTheirStorage) {
  const std::string six = build::storage("FloatStorage", "0", 6);
  const auto view = [&](int64_t offset, std::vector<int64_t> shape, std::vector<int64_t> strides) {
    return build::tensor(six, offset, shape, strides) + ".";
  };
  EXPECT_NO_THROW(parse(view(0, {3, 2}, {1, 3})));
  EXPECT_NO_THROW(parse(view(5, {1, 1}, {1000, 1000})));
  for (const std::string& text :
       {view(1, {3, 2}, {2, 1}), view(6, {}, {}), view(0, {7}, {1}), view(0, {2}, {6}),
        view(7, {0}, {1}), view(0, {2, 2}, {INT64_MAX, INT64_MAX}),
        view(INT64_MAX, {2}, {INT64_MAX}), view(0, {INT64_MAX, INT64_MAX}, {0, 0}),
        view(0, {INT64_MAX, INT64_MAX, 0}, {0, 0, 0})})
    expect_refused(text, "storage \"0\": a view runs past the 6 elements");
  expect_refused(view(0, {1000000}, {0}), "a view of 1000000 elements repeats those");
  expect_refused(view(0, {2, -1}, {1, 1}), "tensor size: expected at least 0, got -1");
  expect_refused(view(0, {2}, {-1}), "tensor stride: expected at least 0, got -1");
  expect_refused(view(-1, {2}, {1}), "tensor offset: expected at least 0, got -1");
  expect_refused(view(0, {2}, {1, 1}), "a view of 1 extents has 2 strides");
  expect_refused(view(0, std::vector<int64_t>(20, 1), std::vector<int64_t>(20, 1)),
                 "20 extents, expected at most 16");
  expect_refused("]" + six + "a" + build::storage("FloatStorage", "0", 7) + "a.",
                 "storage \"0\": 7 of F32 here, 6 of F32 before");
  expect_refused("(NNNNNtQ.", "is not the identity of a storage");
}

TEST(Pickle, RefusesWhatDoesNotFit) {
  for (const char* text : {"", "(", "(N", "]", "X\xff\xff\xff\x7f"})
    testing::expect_error(ErrorKind::data, "", [&] { parse(text); });
  expect_refused("K", "cut off here");
  expect_refused(std::string("X\4\0\0\0abc", 8), "cut off here");
  expect_refused(".", "leaves 0 values");
  expect_refused("NN.", "leaves 2 values");
  expect_refused("a.", "finds the stack empty");
  expect_refused("]a.", "finds the stack empty");
  expect_refused("](a.", "finds the stack empty");
  expect_refused("t.", "finds no mark");
  expect_refused("h\1.", "asks for value 1, which was not remembered");
  expect_refused("NNa.", "needs a list as target, found None");
  expect_refused("](Nu.", "has a key without a value");
  expect_refused("]NNs.", "needs a dictionary as target, found a list");
}

TEST(Pickle, KeepsItsLimits) {
  const PickleLimits limits{.bytes = 1000, .objects = 50, .string_bytes = 20, .depth = 4};
  expect_refused(std::string(60, 'N') + ".", "makes more than 50 values", limits);
  expect_refused(
      "Nq\1" +
          [] {
            std::string text;
            for (int i = 0; i < 60; ++i) text += "h\1";
            return text;
          }(),
      "makes more than 50 values", limits);
  expect_refused(build::text(std::string(21, 'x')) + ".", "a string of 21 bytes", limits);
  expect_refused("(((((", "nests more than 4 deep", limits);
  std::string puts = "N";
  for (int i = 0; i < 60; ++i) puts += "q" + std::string(1, static_cast<char>(i));
  expect_refused(puts, "remembers more than 50 values", limits);
  expect_refused(std::string(2000, '('), "nests more", limits);
  std::string states = "]";
  for (int i = 0; i < 2000; ++i) states += bytes({0x80, 2});
  expect_refused(states, "cut off here", limits);
  // A list of pairs that is copied again and again.
  std::string copies = "](";
  for (int i = 0; i < 6; ++i) copies += "](NNe";
  copies += "e\x85q\1";
  for (int i = 0; i < 6; ++i) copies += build::global("collections", "OrderedDict") + "h\1R";
  expect_refused(copies + ".", "makes more than 50 values", limits);
}

TEST(Pickle, NoFlippedBitDoesHarm) {
  const std::string text =
      "}(" + build::text("w") +
      build::parameter(build::tensor(build::storage("FloatStorage", "0", 6), 0, {3, 2}, {2, 1})) +
      build::text("lr") + "G\x3f\xb1\xeb\x85\x1e\xb8\x51\xecu.";
  EXPECT_NO_THROW(parse(text));
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_THROW(parse(text.substr(0, length)), Error) << length;
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string bent = text;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << bit % 8));
    try {
      parse(bent);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
  }
}

}  // namespace
}  // namespace pal
