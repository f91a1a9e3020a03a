#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "experiments/command_line/model_options.h"
#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/run_options.h"
#include "experiments/planning/memory_plan.h"
#include "experiments/planning/model_summary.h"
#include "experiments/planning/network_levels.h"
#include "experiments/planning/rank_plan.h"
#include "experiments/report/network_tables.h"
#include "experiments/report/published.h"
#include "experiments/report/rank_plans.h"
#include "experiments/report/text_table.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/models/model_io.h"
#include "layers/training/optimizer.h"
#include "runtime/allocator.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace {

using namespace pal;
using Json = nlohmann::ordered_json;

constexpr const char* kName = "pal-info";

constexpr const char* kDescription =
    "Layers, shapes, parameters, multiply-adds and activation memory of a network. With --ranks:\n"
    "what a training of it would gain from several ranks, each with a batch of its own.\n\n"
    "Ranks sum their gradients around a ring, in buckets that leave while the backward pass is\n"
    "still at work on earlier blocks. What is not done when the pass ends is exposed: the step\n"
    "waits for it. The plan needs the time of a step on one rank (train a few with pal-train;\n"
    "--batch-size / images_per_s in metrics.jsonl) and the link between ranks, such as\n"
    "--bandwidth 1.25GB --latency 5e-5 for Ethernet of 10 Gbit/s, or 25GB and 5e-6 for\n"
    "InfiniBand of 200 Gbit/s.\n\n"
    "  pal-info -a ibinn-small --ranks 2,8 --step-seconds 0.1 --bandwidth 25GB --latency 5e-6";

struct Options {
  std::string checkpoint;
  std::string arch;
  bool paper = false;
  std::vector<std::string> settings;          ///< KEY=VALUE
  std::map<std::string, std::string> fields;  ///< of the fields' own options
  int64_t image_size = 0;                     ///< 0: as the architecture or file has it
  int64_t channels = 0;
  int64_t classes = 0;
  int64_t batch_size = 1;
  std::string tables;      ///< folder for table1.csv and table5.csv; empty: none
  bool published = false;  ///< the paper's figures beside ours
  bool json = false;
  std::vector<int64_t> ranks;  ///< numbers to plan for; none: no plan
  double step_seconds = 0.0;
  int64_t bandwidth = 0;  ///< bytes per second
  double latency = 0.0;   ///< seconds
  ReductionSpec reduction;
};

void add_rank_options(OptionTable& table, Options& o) {
  const auto planned = [&o] { return !o.ranks.empty(); };
  table.group("Ranks");
  table.numbers("ranks", o.ranks, 0, "Plan a training of so many ranks; of several numbers, each")
      .unit("N,...")
      .at_least(1)
      .at_most(1'000'000)
      .shown_default("none");
  table
      .number("step-seconds", o.step_seconds,
              "A step of --batch-size images on one rank, measured: images / images_per_s in a "
              "run's metrics.jsonl")
      .unit("SECONDS")
      .above(0.0)
      .at_most(1e6)
      .shown_default("none")
      .only("with --ranks", planned);
  table
      .bytes("bandwidth", o.bandwidth,
             "What the link to the next rank carries in a second, such as 1.25GB for 10 Gbit/s")
      .unit("BYTES/s")
      .shown_default("none")
      .only("with --ranks", planned);
  table
      .number("latency", o.latency,
              "Time until a message's first byte is there: about 5e-6 by InfiniBand, 5e-5 by "
              "Ethernet")
      .unit("SECONDS")
      .at_least(0.0)
      .at_most(10.0)
      .shown_default("none")
      .only("with --ranks", planned);
  table
      .bytes("bucket", o.reduction.bucket_bytes,
             "Bytes of gradients that are summed at once, as of pal-train")
      .only("with --ranks", planned);
  table
      .choice<bool>("bucket-precision", o.reduction.bf16, {{"fp32", false}, {"bf16", true}},
                    "Numbers that gradients travel as; bf16: half the bytes, rounded sums")
      .only("with --ranks", planned);
}

void add_options(OptionTable& table, Options& o) {
  table.positional("CHECKPOINT", o.checkpoint, "A checkpoint or run folder to describe");
  table.text("arch", o.arch, "Or a preset")
      .letter('a')
      .unit("ARCH")
      .values(preset_names())
      .shown_default(fmt::format("none; {}", fmt::join(preset_names(), ", ")));
  table.choice<bool>("flavour", o.paper, {{"reference", false}, {"paper", true}},
                     "The published code, or the paper's text where it differs");
  table.whole("batch-size", o.batch_size, "Images that activation bytes are for, and a rank's step")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .at_most(1'000'000);
  table
      .text("tables", o.tables,
            "Write into this folder, as CSV, the paper's Tables 1 (table1.csv: levels with their "
            "receptive fields) and 5 (table5.csv: parameters and multiply-adds)")
      .unit("DIR");
  table.toggle("published", o.published,
               "The paper's figures of these tables as further columns; of ibinn-imagenet and "
               "resnet50");
  add_json_option(table, o.json);
  add_rank_options(table, o);
  table.group("Model fields");
  table.texts("set", o.settings, "Another value of any field of the configuration")
      .unit("KEY=VALUE");
  table.whole("image-size", o.image_size, "Side of the pictures")
      .unit("PIXELS")
      .at_least(1)
      .at_most(16384)
      .word("auto", 0);
  table.whole("channels", o.channels, "Channels of the pictures")
      .at_least(1)
      .at_most(64)
      .word("auto", 0);
  table.whole("classes", o.classes, "Classes").at_least(1).at_most(1'000'000).word("auto", 0);
  add_field_options(table, o.fields,
                    [&o] { return preset(o.arch.empty() ? "ibinn-mnist" : o.arch); });
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

ModelConfig config_of_file(const std::string& given) {
  const std::string path = checkpoint_of(given);
  return checkpoint_config(load_metadata(path), path);
}

ModelConfig config_of(const OptionTable& table, const Options& o) {
  expect(!o.checkpoint.empty() || !o.arch.empty(),
         "command line: no CHECKPOINT and no --arch; see --help");
  expect(o.checkpoint.empty() || o.arch.empty(),
         "command line: both a CHECKPOINT ({}) and --arch ({}); expected one of them", o.checkpoint,
         o.arch);
  ModelConfig config = o.checkpoint.empty() ? preset(o.arch) : config_of_file(o.checkpoint);
  if (o.paper) apply_paper_flavour(config);
  set_fields(o.settings, config);
  if (o.image_size > 0) config.image_size = o.image_size;
  if (o.channels > 0) config.channels = o.channels;
  if (o.classes > 0) config.classes = o.classes;
  for (const auto& [key, value] : o.fields) set_field(config, key, value, "--" + key);
  table.check_effects(config.family == ModelFamily::flow);
  expect(!o.published || published_network(config) != nullptr,
         "--published: the paper has figures of ibinn-imagenet and resnet50 with the preset's "
         "stages, not of this {}",
         config.arch);
  expect(!o.published || (!o.json && o.ranks.empty()) || !o.tables.empty(),
         "--published: adds columns to tables, not to --json or --ranks; add --tables DIR");
  if (o.ranks.empty()) return config;
  for (const char* needed : {"step-seconds", "bandwidth", "latency"})
    expect(table.find(needed)->is_given(), "--ranks: needs --{} too; see --help", needed);
  expect(o.bandwidth > 0, "--bandwidth: expected more than 0 bytes per second");
  expect(o.reduction.bucket_bytes >= 4, "--bucket: {} bytes hold no number",
         o.reduction.bucket_bytes);
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

/// The network, and beside a flow the residual one that it is to be compared with.
std::vector<ModelSummary> compared_networks(const ModelSummary& model) {
  std::vector<ModelSummary> models = {model};
  if (const auto other = residual_counterpart(model.config))
    models.push_back(summarize_model(*other));
  return models;
}

/// What --activation-memory of pal-train may be, but for a limit.
constexpr const char* kRequests[] = {"min", "auto", "max"};

MemoryPlan plan_for(const ModelSummary& model, int64_t batch, const char* request) {
  return plan_memory(model.config, batch, Device(), MemoryRequest::parse(request));
}

/// What training keeps of each parameter, by options of pal-train.
struct TrainingState {
  const char* what;
  const char* key;
  const char* options;
  OptimizerSpec spec;
};

constexpr TrainingState kTrainingStates[] = {
    {"SGD: momentum", "sgd", "--opt sgd", {OptimizerKind::sgd, false}},
    {"AdamW: two moments", "adamw", "--opt adamw", {OptimizerKind::adamw, false}},
    {"AdamW and an average", "adamw_ema", "--opt adamw --ema 0.999", {OptimizerKind::adamw, true}}};

std::string state_table(const ModelSummary& model) {
  TextTable table({"parameters, gradients and what is kept of them", "bytes", "", ""});
  for (const TrainingState& state : kTrainingStates) {
    const int64_t bytes = state.spec.state_bytes(model.parameters_total);
    table.add({state.what, grouped(bytes), format_bytes(bytes), state.options});
  }
  return table.text();
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

RankPlans plan_ranks(const ModelConfig& config, const Options& o) {
  return RankPlans(config.arch, rank_work(config, o.batch_size, o.step_seconds), o.batch_size,
                   o.reduction, {static_cast<double>(o.bandwidth), o.latency}, o.ranks);
}

Json shape_json(const Shape& shape) {
  Json json = Json::array();
  for (int axis = 1; axis < shape.rank(); ++axis) json.push_back(shape[axis]);
  return json;
}

std::string to_json(const ModelSummary& model, const Options& o) {
  const int64_t batch = o.batch_size;
  Json json = {{"architecture", model.config.arch},
               {"configuration", parse_ordered_json(to_json(model.config))},
               {"parameters_network", model.parameters_network},
               {"parameters_head", model.parameters_head()},
               {"parameters_total", model.parameters_total},
               {"multiply_adds", model.multiply_adds},
               {"multiply_adds_dense_mixing", model.multiply_adds_dense_mixing},
               {"multiply_adds_with_dense_mixing", model.multiply_adds_with_dense_mixing()},
               {"batch", batch}};
  for (const TrainingState& state : kTrainingStates)
    json["state_bytes"][state.key] = state.spec.state_bytes(model.parameters_total);
  StepMemory memory(model.config, batch, Device());
  for (const ActivationPolicy policy : policies_of(model.config.family)) {
    std::string key = name_of(policy);
    std::ranges::replace(key, ' ', '_');
    json["activation_bytes"][key] = memory.peak({policy});
  }
  for (const char* request : kRequests)
    json["activation_bytes"][request] = plan_for(model, batch, request).peak_bytes;
  for (const NetworkLevel& level : network_levels(model))
    json["levels"].push_back(
        {{"name", level.name},
         {"size", level.size},
         {"channels", level.channels},
         {"blocks", level.blocks},
         {"receptive_field", level.receptive_field ? Json(*level.receptive_field - 1) : Json()}});
  for (const BlockSummary& block : model.blocks)
    json["blocks"].push_back({{"name", block.name},
                              {"kind", block.kind},
                              {"output", shape_json(block.output)},
                              {"parameters", block.parameters},
                              {"multiply_adds", block.multiply_adds},
                              {"multiply_adds_dense_mixing", block.dense_mixing}});
  if (!o.ranks.empty()) json["rank_plan"] = parse_ordered_json(plan_ranks(model.config, o).json());
  return json_text(json, -1, BadUtf8::replaced);
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(kName, kDescription);
    Options options;
    add_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    const ModelSummary model = summarize_model(config_of(table, options));
    const std::vector<ModelSummary> models = compared_networks(model);
    const NetworkTables tables(models, options.published);
    if (!options.tables.empty()) tables.write(options.tables);
    if (options.json) {
      print_result(to_json(model, options));
      return 0;
    }
    if (!options.ranks.empty()) {
      print_result(plan_ranks(model.config, options).text());
      return 0;
    }
    print_result(layer_table(model) + "\n");
    print_result(tables.levels_text() + "\n");
    print_result(tables.totals_text() + "\n");
    print_result(state_table(model) + "\n");
    print_result(memory_table(model, options.batch_size));
    return 0;
  });
}
