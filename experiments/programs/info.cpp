#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "experiments/command_line/program.h"
#include "experiments/planning/memory_plan.h"
#include "experiments/planning/model_summary.h"
#include "experiments/report/text_table.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/safetensors.h"
#include "layers/models/model_io.h"
#include "runtime/allocator.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace {

using namespace pal;
using Json = nlohmann::ordered_json;

constexpr const char* kName = "pal-info";

struct Options {
  std::string checkpoint;
  std::string arch;
  std::string flavour = "reference";
  std::vector<std::string> fields;                          ///< KEY=VALUE
  std::vector<std::pair<std::string, std::string>> values;  ///< of --KEY VALUE
  int64_t batch_size = 1;
  bool json = false;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("CHECKPOINT", o.checkpoint, "a checkpoint or run folder to describe");
  app.add_option("-a,--arch", o.arch, fmt::format("a preset: {}", fmt::join(preset_names(), ", ")));
  app.add_option("--flavour", o.flavour, "reference (published code) or paper (the text)")
      ->capture_default_str();
  app.add_option("--set", o.fields, "KEY=VALUE: another value of a model field")
      ->type_name("KEY=VALUE");
  for (const std::string& name : field_names()) {
    if (name == "arch") continue;
    app.add_option_function<std::string>(
           "--" + name,
           [&o, name](const std::string& value) { o.values.emplace_back(name, value); },
           "the same as --set " + name + "=VALUE")
        ->group("Model fields")
        ->type_name("VALUE");
  }
  app.add_option("-b,--batch-size", o.batch_size, "images that activation bytes are for")
      ->capture_default_str();
  app.add_flag("--json", o.json, "answer in JSON");
}

/// The configuration of a checkpoint, without making its tensors.
ModelConfig config_of_file(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  check_checkpoint(file);
  Checkpoint checkpoint;
  checkpoint.metadata = file.metadata();
  return checkpoint_config(checkpoint, path);
}

void set_fields(const std::vector<std::string>& fields, ModelConfig& config) {
  for (const std::string& text : fields) {
    const size_t equals = text.find('=');
    expect(equals != std::string::npos, "--set: expected KEY=VALUE, got '{}'", text);
    const std::string key = text.substr(0, equals);
    if (set_field(config, key, text.substr(equals + 1), "--set")) continue;
    const std::string nearest = nearest_name(key, field_names());
    fail(ErrorKind::usage, "--set: unknown model field '{}'{}", key,
         nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
  }
}

ModelConfig config_of(const Options& o) {
  expect(!o.checkpoint.empty() || !o.arch.empty(),
         "command line: no CHECKPOINT and no --arch; see --help");
  expect(o.checkpoint.empty() || o.arch.empty(),
         "command line: both a CHECKPOINT ({}) and --arch ({}); expected one of them", o.checkpoint,
         o.arch);
  expect(o.flavour == "reference" || o.flavour == "paper",
         "--flavour: expected reference or paper, got '{}'", o.flavour);
  expect(o.batch_size >= 1 && o.batch_size <= 1'000'000,
         "--batch-size: expected 1 to 1000000, got {}", o.batch_size);
  ModelConfig config =
      o.checkpoint.empty() ? preset(o.arch) : config_of_file(checkpoint_of(o.checkpoint));
  if (o.flavour == "paper") apply_paper_flavour(config);
  set_fields(o.fields, config);
  for (const auto& [key, value] : o.values) set_field(config, key, value, "--" + key);
  return config;
}

std::string shape_text(const Shape& shape) {
  if (shape.rank() == 2) return fmt::format("{}", shape[1]);
  return fmt::format("{}x{}x{}", shape[1], shape[2], shape[3]);
}

/// "-" for what costs nothing.
std::string count_text(int64_t count) { return count == 0 ? "-" : grouped(count); }

std::string layer_table(const ModelSummary& model) {
  const bool flow = model.config.family == ModelFamily::flow;
  std::vector<std::string> header = {"block", "output (h x w x c)", "parameters", "multiply-adds"};
  if (flow) header.emplace_back("dense mixing");
  TextTable table(header);
  for (const BlockSummary& block : model.blocks) {
    std::vector<std::string> row = {fmt::format("{} {}", block.name, block.kind),
                                    shape_text(block.output), count_text(block.parameters),
                                    count_text(block.multiply_adds)};
    if (flow) row.push_back(count_text(block.dense_mixing));
    table.add(row);
    for (const SubnetSummary& subnet : block.subnets)
      for (const LayerSummary& layer : subnet.layers)
        table.add({fmt::format("    {}.{} {}", subnet.name, layer.name, layer.kind),
                   shape_text(layer.output), count_text(layer.parameters),
                   count_text(layer.multiply_adds)});
  }
  if (flow)
    table.add({"class means", std::to_string(model.config.classes),
               count_text(model.parameters_total - model.parameters_network)});
  return table.text();
}

/// A total of ours and published figures of the reference networks: the paper's (its Table 5), and
/// a recount of the released code.
struct Total {
  const char* what;
  int64_t ours;
  const char* paper;
  int64_t released;
};

std::vector<Total> totals(const ModelSummary& m) {
  if (m.config.family == ModelFamily::resnet)
    return {{"network parameters", m.parameters_network, "23.5 M", 23'508'032},
            {"all parameters", m.parameters_total, "25.6 M", 25'557'032},
            {"multiply-adds", m.multiply_adds, "4.07 G", 4'089'184'256}};
  return {{"network parameters", m.parameters_network, "55.4 M", 55'412'304},
          {"all parameters", m.parameters_total, "77.5 M", 77'486'672},
          {"multiply-adds", m.multiply_adds, "", 6'916'661'248},
          {"dense channel mixing", m.multiply_adds_dense_mixing, "", 2'227'212'288},
          {"multiply-adds with dense mixing", m.multiply_adds + m.multiply_adds_dense_mixing,
           "9.08 G", 6'916'661'248 + 2'227'212'288}};
}

std::string total_table(const ModelSummary& model) {
  const std::string& arch = model.config.arch;
  const bool with_published = arch == "ibinn-imagenet" || arch == "resnet50";
  std::vector<std::string> header = {"totals for one image", arch};
  if (with_published) header.insert(header.end(), {"paper", "released code"});
  TextTable table(header);
  for (const Total& total : totals(model)) {
    std::vector<std::string> row = {total.what, grouped(total.ours)};
    if (with_published) row.insert(row.end(), {total.paper, grouped(total.released)});
    table.add(row);
  }
  return table.text();
}

/// What --activation-memory of pal-train may be, but for a limit.
constexpr const char* kRequests[] = {"min", "auto", "max"};

MemoryPlan plan_for(const ModelSummary& model, int64_t batch, const char* request) {
  return plan_memory(model.config, batch, Device(),
                     MemoryRequest::parse(request, "--activation-memory"));
}

std::string memory_table(const ModelSummary& model, int64_t batch) {
  TextTable table({fmt::format("activations of a training step, batch {}, CPU", batch), "bytes", "",
                   "--activation-memory"});
  StepMemory memory(model.config, batch, Device());
  for (const ActivationPolicy policy : policies_of(model.config.family)) {
    const int64_t bytes = memory.peak({policy});
    table.add(
        {fmt::format("{} every block", name_of(policy)), grouped(bytes), format_bytes(bytes), ""});
  }
  for (const char* request : kRequests) {
    const MemoryPlan plan = plan_for(model, batch, request);
    table.add({plan.summary(), grouped(plan.peak_bytes), format_bytes(plan.peak_bytes), request});
  }
  return table.text();
}

Json shape_json(const Shape& shape) {
  Json json = Json::array();
  for (int axis = 1; axis < shape.rank(); ++axis) json.push_back(shape[axis]);
  return json;
}

std::string to_json(const ModelSummary& model, int64_t batch) {
  Json json = {{"architecture", model.config.arch},
               {"configuration", parse_ordered_json(to_json(model.config))},
               {"parameters_network", model.parameters_network},
               {"parameters_total", model.parameters_total},
               {"multiply_adds", model.multiply_adds},
               {"multiply_adds_dense_mixing", model.multiply_adds_dense_mixing},
               {"batch", batch}};
  StepMemory memory(model.config, batch, Device());
  for (const ActivationPolicy policy : policies_of(model.config.family))
    json["activation_bytes"][name_of(policy)] = memory.peak({policy});
  for (const char* request : kRequests)
    json["activation_bytes"][request] = plan_for(model, batch, request).peak_bytes;
  for (const BlockSummary& block : model.blocks)
    json["blocks"].push_back({{"name", block.name},
                              {"kind", block.kind},
                              {"output", shape_json(block.output)},
                              {"parameters", block.parameters},
                              {"multiply_adds", block.multiply_adds},
                              {"multiply_adds_dense_mixing", block.dense_mixing}});
  return json_text(json, -1, BadUtf8::replaced);
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app("Layers, shapes, parameters, multiply-adds and activation memory of a network.",
                 kName);
    Options options;
    add_options(app, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    const ModelSummary model = summarize_model(config_of(options));
    if (options.json) {
      print_result(to_json(model, options.batch_size));
      return 0;
    }
    print_result(layer_table(model) + "\n");
    print_result(total_table(model) + "\n");
    print_result(memory_table(model, options.batch_size));
    return 0;
  });
}
