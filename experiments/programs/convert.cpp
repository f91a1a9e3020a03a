#include <fmt/format.h>

#include <utility>

#include "data/sources/class_names.h"
#include "experiments/command_line/data_options.h"
#include "experiments/command_line/output_file.h"
#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/run_options.h"
#include "experiments/report/text_table.h"
#include "kernels/arrays/reduce.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/npz_writer.h"
#include "layers/checkpoint/safetensors.h"
#include "layers/checkpoint/torch_file.h"
#include "layers/checkpoint/zip_reader.h"
#include "layers/models/export_model.h"
#include "layers/models/import_model.h"
#include "layers/models/model_io.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace {

using namespace pal;
using Json = nlohmann::ordered_json;

constexpr const char* kName = "pal-convert";

struct Options {
  std::string input;
  std::string output;
  std::string class_names;
  ImportChoice choice;
  std::vector<float> mean;
  std::vector<float> std;
  bool tensors = false;
  bool weights_only = false;
  bool json = false;
  bool quiet = false;
};

void add_options(OptionTable& table, Options& o) {
  table.positional("INPUT", o.input,
                   "A PyTorch (.pt, .pth) or safetensors file; for OUTPUT.pt a run or a checkpoint "
                   "of ours");
  table.positional("OUTPUT", o.output,
                   "The file to write, safetensors unless it ends in .npz (NumPy's arrays) or .pt "
                   "(the published layout)");
  table
      .text("key", o.choice.key,
            "Of a file of several networks (weights and their average), the one to convert, by "
            "the name that leads to it")
      .shown_default("the only one");
  std::vector<std::pair<std::string, std::optional<EntryKind>>> entries;
  for (const EntryKind kind : {EntryKind::entry, EntryKind::haar, EntryKind::cifar}) {
    ModelConfig config;
    config.entry = kind;
    entries.emplace_back(field_text(config, "entry"), kind);
  }
  table
      .choice("entry", o.choice.entry, entries,
              "What a ResNet begins with, of which files tell the kernel alone: 7x7 of stride 2 "
              "and pooling (entry), 3x3 of stride 2 (haar) or of stride 1 (cifar)")
      .shown_default("entry for 7x7, cifar for 3x3");
  table.file("class-names", o.class_names, "Names of the classes: a line each, or JSON")
      .shown_default("0, 1, ...");
  table.numbers("mean", o.mean, "Mean of each colour of the input images")
      .at_least(0)
      .at_most(1)
      .shown_default("0.2860 for grey, else ImageNet's");
  table.numbers("std", o.std, "Deviation of each colour of the input images")
      .above(0)
      .at_most(1)
      .shown_default("0.3530 for grey, else ImageNet's");
  table.toggle("tensors", o.tensors,
               "Write the tensors as they are, whatever network they belong to");
  table.toggle(
      "weights-only", o.weights_only,
      "Of a checkpoint of ours, keep what the model needs: no optimizer, nothing to resume");
  add_json_option(table, o.json);
  add_quiet_option(table, o.quiet);
}

/// What a run did, in both kinds of answer.
struct Answer {
  std::string layout;
  std::string container;
  int64_t tensors = 0;
  /// Empty if the tensors were written as they are.
  std::optional<ModelConfig> config;
  int64_t parameters = 0;
  std::map<std::string, int64_t> ignored;
  std::vector<std::string> assumed;
  std::vector<std::string> lost;
  int64_t widened = 0;  ///< tensors of bf16 that are float32 now
};

/// What a file is written as, by the end of its name.
enum class OutputKind { safetensors, npz, torch };

OutputKind output_kind(const std::string& path) {
  const std::string name = lower_case(path);
  if (name.ends_with(".npz")) return OutputKind::npz;
  return name.ends_with(".pt") || name.ends_with(".pth") ? OutputKind::torch
                                                         : OutputKind::safetensors;
}

std::string container_of(const TensorSource& source) {
  const auto* torch = dynamic_cast<const TorchFile*>(&source);
  if (torch == nullptr) return "safetensors";
  return torch->is_legacy() ? "pytorch-legacy" : "pytorch-zip";
}

Answer convert_tensors(const TensorSource& source, const std::string& output) {
  const bool to_numpy = output_kind(output) == OutputKind::npz;
  std::vector<StoredTensor> stored;
  std::vector<std::string> skipped;
  Answer answer;
  for (const SourceTensor& tensor : source.tensors()) {
    if (to_numpy && !is_zip_name(tensor.name))
      fail(ErrorKind::data, "{}: {}: no name for a file in an .npz", source.file(),
           printable(tensor.name));
    answer.widened += to_numpy && tensor.dtype_name == "BF16" ? 1 : 0;
    if (to_numpy ? !numpy_type(tensor.dtype_name) : safetensors_item_size(tensor.dtype_name) == 0)
      skipped.push_back(fmt::format("{} of {}", printable(tensor.name), tensor.dtype_name));
    else
      stored.push_back({tensor.name, tensor.dtype_name, tensor.shape, tensor.bytes(),
                        [&](const ByteSink& sink) { sink(source.read(tensor)); }});
  }
  if (!skipped.empty())
    print_warning(
        fmt::format("{}: {} tensors of types that are not converted are left out, {} first",
                    source.file(), skipped.size(), skipped.front()));
  auto metadata = source.metadata();
  // A copy of a checkpoint may lack tensors of it, so it must not call itself one.
  if (!to_numpy && is_checkpoint(metadata)) {
    for (const auto& [key, value] : std::exchange(metadata, {}))
      if (key != "digest") answer.lost.push_back(key);
  }
  if (to_numpy)
    write_npz(output, metadata, stored);
  else
    write_safetensors(output, metadata, stored);
  answer.layout = "tensors";
  answer.tensors = static_cast<int64_t>(stored.size());
  return answer;
}

void warn_not_finite(const std::string& file, const std::vector<std::string>& tensors) {
  if (!tensors.empty())
    print_warning(fmt::format("{}: {} tensors have values that are not finite, {} first", file,
                              tensors.size(), printable(tensors.front())));
}

Answer convert_model(const TensorSource& source, const Options& o) {
  InputSpec input;
  if (!o.class_names.empty()) input.class_names = read_class_names(o.class_names);
  ImportedModel imported = import_model(source, input, o.choice);
  const InputSpec scaled = input_spec(o.mean, o.std, imported.config.channels);
  imported.checkpoint.metadata["mean"] = json_text(Json(scaled.mean));
  imported.checkpoint.metadata["std"] = json_text(Json(scaled.std));
  save_checkpoint(o.output, imported.checkpoint);
  warn_not_finite(source.file(), imported.non_finite);
  Answer answer;
  answer.layout =
      imported.config.family == ModelFamily::resnet ? "torchvision ResNet" : "published IB-INN";
  answer.tensors = static_cast<int64_t>(imported.checkpoint.tensors.size());
  answer.config = imported.config;
  answer.parameters = imported.parameters;
  answer.ignored = imported.ignored;
  answer.assumed = imported.assumed;
  return answer;
}

/// A checkpoint of ours as others publish such networks.
Answer publish(const Options& o) {
  const std::string input = checkpoint_of(o.input);
  const LoadedModel loaded = load_model(input);
  const ExportedModel exported = export_model(o.output, loaded, input);
  Answer answer;
  answer.layout = "checkpoint";
  answer.container = "safetensors";
  answer.tensors = exported.tensors;
  answer.config = loaded.model->config();
  answer.parameters = exported.parameters;
  answer.lost = exported.lost;
  return answer;
}

/// A checkpoint of ours without what only a resumed run needs.
Answer strip(const Options& o) {
  const std::string input = checkpoint_of(o.input);
  Checkpoint checkpoint = load_checkpoint(input);
  Answer answer;
  answer.layout = "checkpoint";
  answer.container = "safetensors";
  answer.config = checkpoint_config(checkpoint, input);
  std::erase_if(checkpoint.tensors, [&](const auto& tensor) {
    const std::string& name = tensor.first;
    if (name.starts_with("model.")) return false;
    ++answer.ignored[name.substr(0, name.find('.'))];
    return true;
  });
  for (const char* key : {"trainer", "threads"}) checkpoint.metadata.erase(key);
  std::vector<std::string> not_finite;
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (tensor.dtype() != DType::i32 && !cpu::all_finite(tensor)) not_finite.push_back(name);
  warn_not_finite(input, not_finite);
  const auto model = build_model(*answer.config);
  for (const Parameter* parameter : model->state().parameters)
    answer.parameters += parameter->shape.numel();
  answer.tensors = static_cast<int64_t>(checkpoint.tensors.size());
  save_checkpoint(o.output, checkpoint);
  return answer;
}

std::string to_json(const Options& o, const Answer& answer) {
  Json json = {{"file", o.input},
               {"output", o.output},
               {"container", answer.container},
               {"layout", answer.layout},
               {"tensors", answer.tensors}};
  if (answer.config) {
    json["architecture"] = answer.config->arch;
    json["configuration"] = parse_ordered_json(pal::to_json(*answer.config));
    json["parameters"] = answer.parameters;
    json["ignored"] = answer.ignored;
    json["assumed"] = answer.assumed;
  }
  if (answer.config || !answer.lost.empty()) json["lost"] = answer.lost;
  if (answer.widened > 0) json["bf16_as_float32"] = answer.widened;
  return json_text(json, -1, BadUtf8::replaced);
}

std::string to_text(const Options& o, const Answer& answer) {
  std::string text = fmt::format("{}: {} ({})\n", o.input, answer.layout, answer.container);
  if (answer.config) {
    // The fields that names and shapes tell.
    const bool recorded = o.weights_only || output_kind(o.output) == OutputKind::torch;
    TextTable table({recorded ? "recorded" : "inferred", answer.config->arch});
    std::vector<std::string> fields = {"image-size", "channels", "classes", "entry", "entry-width",
                                       "blocks",     "strides",  "widths",  "subnet"};
    if (answer.config->family == ModelFamily::flow)
      fields.insert(fields.end(), {"coupling", "mixing", "rank"});
    for (const std::string& field : fields) table.add({field, field_text(*answer.config, field)});
    table.add({"parameters", grouped(answer.parameters)});
    text += table.text() + "\n";
    for (const auto& [kind, count] : answer.ignored)
      text += fmt::format("not needed: {} ({} tensors)\n", kind, count);
    for (const std::string& line : answer.assumed) text += fmt::format("assumed: {}\n", line);
  }
  for (const std::string& line : answer.lost) text += fmt::format("lost: {}\n", line);
  if (answer.widened > 0)
    text += fmt::format("bf16, which NumPy lacks, as float32: {} tensors\n", answer.widened);
  return text + fmt::format("{}: {} tensors", o.output, answer.tensors);
}

/// A run folder stands for its checkpoint, any other path for itself.
Answer convert_foreign(const Options& o) {
  const bool as_tensors = o.tensors || output_kind(o.output) == OutputKind::npz;
  const auto source = open_tensor_source(checkpoint_of(o.input));
  expect(as_tensors || !is_checkpoint(source->metadata()),
         "{}: a checkpoint of ours already; --weights-only strips it, --tensors copies its "
         "tensors, OUTPUT.pt publishes it",
         o.input);
  if (!as_tensors && import_networks(*source).empty())
    fail(ErrorKind::data,
         "{}: neither a published IB-INN ('inn' with module_list.*, 'mu', 'mu_t', 'mu_m') nor a "
         "torchvision ResNet (conv1.weight, layer1.0.conv1.weight, ..., fc.weight); --tensors "
         "converts it tensor by tensor",
         o.input);
  Answer answer = as_tensors ? convert_tensors(*source, o.output) : convert_model(*source, o);
  answer.container = container_of(*source);
  return answer;
}

/// Checks what concerns several options. Throws usage naming the flag.
void check_options(const Options& o) {
  const bool plain = o.class_names.empty() && o.mean.empty() && o.std.empty() &&
                     o.choice.key.empty() && !o.choice.entry;
  const OutputKind kind = output_kind(o.output);
  expect(!o.weights_only || (!o.tensors && plain),
         "--weights-only: keeps class names and normalisation; without --tensors, --class-names, "
         "--mean, --std, --key, --entry");
  expect(!o.weights_only || kind == OutputKind::safetensors,
         "--weights-only: writes a checkpoint; OUTPUT ends in .npz or .pt");
  expect(kind != OutputKind::npz || plain,
         "OUTPUT.npz: holds the tensors as they are; without --class-names, --mean, --std, --key, "
         "--entry");
  expect(kind != OutputKind::torch || (!o.tensors && plain),
         "OUTPUT.pt: is made of a checkpoint of ours; without --tensors, --class-names, --mean, "
         "--std, --key, --entry");
  expect(!o.tensors || (o.choice.key.empty() && !o.choice.entry),
         "--tensors: converts tensors, not networks; without --key, --entry");
  if (o.tensors || kind != OutputKind::safetensors)
    check_output_file("OUTPUT", o.output);
  else
    check_output_model("OUTPUT", o.output);
}

void convert(const Options& o) {
  check_options(o);
  const Answer answer = o.weights_only                               ? strip(o)
                        : output_kind(o.output) == OutputKind::torch ? publish(o)
                                                                     : convert_foreign(o);
  if (!o.quiet) print_result(o.json ? to_json(o, answer) : to_text(o, answer));
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(kName, [&] {
    OptionTable table(
        kName,
        "Converts published IB-INN checkpoints and torchvision ResNets to checkpoints of ours and\n"
        "back, strips ours of what only training needs, and gives arrays to NumPy.\n\n"
        "  pal-convert beta_4.avg.pt model.safetensors        published to ours\n"
        "  pal-convert run model.pt                           ours as published, for torch.load\n"
        "  pal-convert run small.safetensors --weights-only   nothing to resume\n"
        "  pal-convert latents.safetensors latents.npz        for numpy.load");
    Options options;
    add_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    expect(!options.output.empty(), "command line: expected INPUT and OUTPUT; see --help");
    convert(options);
    return 0;
  });
}
