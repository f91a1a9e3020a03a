// What pal-train can be told of model and recipe.
#include "experiments/recipe/train_table.h"

#include <limits>

#include "experiments/command_line/model_options.h"
#include "experiments/recipe/data_table.h"
#include "experiments/recipe/process_table.h"

namespace pal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void add_model(OptionTable& table, TrainOptions& o) {
  table.group("Model");
  std::vector<std::pair<std::string, std::string>> presets;
  for (const std::string& name : preset_names()) presets.emplace_back(name, name);
  table
      .choice<std::string>("arch", o.arch, presets,
                           "The network, and with it the defaults of its recipe")
      .letter('a')
      .unit("ARCH");
  table
      .choice<Flavour>("flavour", o.flavour,
                       {{"reference", Flavour::reference}, {"paper", Flavour::paper}},
                       "The published code, or the paper's text where it differs")
      .families(Families::flows);
  table
      .choice<bool>("dct-log-det", o.dct_reported, {{"true", false}, {"reported", true}},
                    "Log-determinant of the DCT: the true one, or that of the published losses")
      .families(Families::flows);
  add_field_options(table, o.fields, [&o] {
    ModelConfig config = preset(o.arch);
    if (o.flavour == Flavour::paper) apply_paper_flavour(config);
    return config;
  });
}

void add_schedule(OptionTable& table, TrainOptions& o) {
  ScheduleSpec& schedule = o.schedule;
  table
      .choice<ScheduleKind>("sched", schedule.kind,
                            {{"constant", ScheduleKind::constant},
                             {"step", ScheduleKind::step},
                             {"cosine", ScheduleKind::cosine},
                             {"one-cycle", ScheduleKind::one_cycle},
                             {"plateau", ScheduleKind::plateau}},
                            "The rate over the run; step: /10 at --milestones; one-cycle: falls to "
                            "0 from --decay-from on; plateau: /10 twice, then stop")
      .by_architecture({{"ibinn-imagenet", "plateau"},
                        {"ibinn-small", "one-cycle"},
                        {"ibinn-mnist", "one-cycle"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.numbers("milestones", schedule.milestones, 0, "Fractions of the run at which step divides")
      .above(0)
      .below(1)
      .unit("FRACTIONS")
      .by_architecture({{"resnet50", "0.33333333,0.66666667"}})
      .only("with --sched step", [&schedule] { return schedule.kind == ScheduleKind::step; })
      .on_resume(OnResume::changes)
      .recorded();
  table.number("decay-from", schedule.decay_from, "Fraction of the run from which one-cycle falls")
      .at_least(0)
      .below(1)
      .only("with --sched one-cycle",
            [&schedule] { return schedule.kind == ScheduleKind::one_cycle; })
      .on_resume(OnResume::changes)
      .recorded();
  table.whole("warmup-steps", schedule.warmup_steps, "Linear warm-up")
      .unit("STEPS")
      .at_least(0)
      .by_architecture({{"ibinn-small", "50"}, {"ibinn-mnist", "50"}})
      .on_resume(OnResume::changes)
      .recorded();
  table
      .whole("patience", schedule.patience,
             "Validations without improvement before plateau divides")
      .at_least(0)
      .only("with --sched plateau", [&schedule] { return schedule.kind == ScheduleKind::plateau; })
      .on_resume(OnResume::changes)
      .recorded();
}

void add_length(OptionTable& table, TrainOptions& o) {
  table.number("epochs", o.epochs, "Length of the run and of its schedule")
      .unit("EPOCHS")
      .above(0)
      // Three stages that plateau ends; so many epochs are a limit.
      .by_architecture({{"ibinn-imagenet", "150"}, {"resnet50", "90"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.whole("max-steps", o.max_steps, "Stop after this step of the run; the schedule stays")
      .unit("STEPS")
      .at_least(0)
      .word("none", 0)
      .on_resume(OnResume::process);
  table
      .duration("max-time", o.max_time,
                "Stop in time to validate and save within so many seconds (or 30m, 2h)")
      .on_resume(OnResume::process);
}

void add_rates(OptionTable& table, TrainOptions& o) {
  table
      .number("lr", o.update.learning_rate,
              "Learning rate; of another --opt than the architecture's: 0.05 for sgd, 0.001 for "
              "adamw")
      .at_least(0)
      .by_architecture({{"ibinn-small", "0.003"}, {"ibinn-mnist", "0.003"}, {"resnet50", "0.1"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.number("lr-mu", o.lr_means, "Learning rate of the class means; lr: that of the network")
      .at_least(0)
      .word("lr", -1)
      .families(Families::flows)
      .by_architecture({{"ibinn-small", "0.02"}, {"ibinn-mnist", "0.02"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.number("wd", o.update.weight_decay, "Weight decay of the network")
      .at_least(0)
      .by_architecture({{"resnet50", "1e-4"}, {"resnet-small", "1e-4"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.number("clip-grad", o.update.clip_norm, "Largest gradient norm of the network")
      .at_least(0)
      .word("none", 0)
      .by_architecture({{"ibinn-small", "2"}, {"ibinn-mnist", "2"}, {"resnet50", "none"}})
      .on_resume(OnResume::changes)
      .recorded();
}

void add_optimizer(OptionTable& table, TrainOptions& o) {
  const auto is_sgd = [&o] { return o.optimizer == OptimizerKind::sgd; };
  const auto is_adamw = [&o] { return o.optimizer == OptimizerKind::adamw; };
  table
      .choice<OptimizerKind>(
          "opt", o.optimizer, {{"sgd", OptimizerKind::sgd}, {"adamw", OptimizerKind::adamw}},
          "What updates the weights: SGD with momentum, or AdamW (decoupled weight decay)")
      .by_architecture({{"ibinn-small", "adamw"}, {"ibinn-mnist", "adamw"}})
      .on_resume(OnResume::keeps)
      .recorded();
  add_rates(table, o);
  table.number("momentum", o.update.momentum, "Momentum of SGD")
      .at_least(0)
      .below(1)
      .only("with --opt sgd", is_sgd)
      .on_resume(OnResume::changes)
      .recorded();
  table.numbers("betas", o.betas, 2, "Decay of AdamW's first and second moments")
      .at_least(0)
      .below(1)
      .only("with --opt adamw", is_adamw)
      .on_resume(OnResume::changes)
      .recorded();
  table.number("eps", o.update.epsilon, "AdamW: added to the root of the second moment")
      .above(0)
      .only("with --opt adamw", is_adamw)
      .on_resume(OnResume::changes)
      .recorded();
  table
      .number("ema", o.ema,
              "Also keep an average of the weights with this decay, such as 0.999; it competes for "
              "the best checkpoints")
      .at_least(0)
      .below(1)
      .word("none", 0)
      .on_resume(OnResume::keeps)
      .recorded();
}

void add_guard(OptionTable& table, TrainOptions& o) {
  table
      .whole("bad-steps", o.update.bad_steps,
             "Steps in a row whose loss or gradient may be not finite: they are skipped; one more "
             "stops the run (exit 5)")
      .unit("STEPS")
      .at_least(0)
      .on_resume(OnResume::free)
      .recorded();
  table
      .number("skip-outliers", o.update.skip_outliers,
              "Skip steps whose gradient norm is so many deviations above its running mean")
      .unit("DEVIATIONS")
      .at_least(0)
      .word("none", 0)
      .only("with --bad-steps above 0, while the network learns",
            [&o] { return o.update.bad_steps > 0 && o.freeze == Freeze::none; })
      .on_resume(OnResume::changes)
      .recorded();
}

void add_recipe(OptionTable& table, TrainOptions& o) {
  table.group("Recipe");
  table
      .number("beta", o.beta,
              "Weight of the classes: L = (L_X + beta L_Y) / (1 + beta); 0: density alone, inf: a "
              "plain classifier")
      .at_least(0)
      .word("inf", kInfinity)
      .families(Families::flows)
      .on_resume(OnResume::keeps)
      .recorded();
  add_length(table, o);
  add_optimizer(table, o);
  add_schedule(table, o);
  add_guard(table, o);
  table.number("smoothing", o.smoothing, "Label smoothing")
      .at_least(0)
      .below(1)
      .by_architecture({{"resnet50", "0"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.whole("burn-in", o.burn_in, "First steps, with the loss times 0.05")
      .unit("STEPS")
      .at_least(0)
      .by_architecture({{"resnet50", "0"}, {"resnet-small", "0"}})
      .on_resume(OnResume::changes)
      .recorded();
  table
      .toggle("data-init", o.data_init,
              "Start with act norms fitted to pictures: centred channels of unit variance")
      .families(Families::flows)
      .recorded();
  table
      .choice<Freeze>("freeze", o.freeze, {{"none", Freeze::none}, {"network", Freeze::network}},
                      "What stays as it is; network: the class means (a ResNet's linear layer) "
                      "alone learn, for --init-from")
      .on_resume(OnResume::changes)
      .recorded();
  table
      .number("finetune-mu", o.finetune_epochs,
              "Epochs at the end in which the class means (a ResNet's linear layer) alone learn")
      .unit("EPOCHS")
      .at_least(0)
      .on_resume(OnResume::changes)
      .only("without --freeze network", [&o] { return o.freeze == Freeze::none; })
      .recorded();
  table
      .whole("recalibrate-bn", o.recalibrate,
             "Batches to average batch-norm statistics over at the end; 0: none")
      .only("without --freeze network", [&o] { return o.freeze == Freeze::none; })
      .unit("BATCHES")
      .at_least(0)
      .by_architecture({{"ibinn-imagenet", "1000"}, {"resnet50", "0"}, {"resnet-small", "0"}})
      .on_resume(OnResume::changes)
      .recorded();
}

void add_synonyms(OptionTable& table) {
  for (const auto& [word, answer] : std::initializer_list<std::pair<const char*, const char*>>{
           {"learning-rate", "--lr"},
           {"weight-decay", "--wd"},
           {"model", "--arch"},
           {"bs", "--batch-size"},
           {"accumulate-grad-batches", "--grad-accum"},
           {"grad-accum-steps", "--grad-accum"},
           {"backend", "--comm"},
           {"dist-backend", "--comm"},
           {"nproc", "mpirun, srun or torchrun, which start ranks"},
           {"nproc-per-node", "mpirun, srun or torchrun, which start ranks"},
           {"batch", "--batch-size"},
           {"data-dir", "the argument DIR"},
           {"data-path", "the argument DIR"},
           {"epoch", "--epochs"},
           {"steps", "--max-steps"},
           {"scheduler", "--sched"},
           {"lr-scheduler", "--sched"},
           {"warmup", "--warmup-steps"},
           {"warmup-epochs", "--warmup-steps"},
           {"label-smoothing", "--smoothing"},
           {"grad-clip", "--clip-grad"},
           {"clip-grad-norm", "--clip-grad"},
           {"img-size", "--image-size"},
           {"size", "--image-size"},
           {"hflip", "--flip"},
           {"amp", "--precision bf16"},
           {"gpu", "--device"},
           {"output-dir", "--output"},
           {"out", "--output"},
           {"checkpoint", "--resume or --init-from"},
           {"pretrained", "--init-from"},
           {"finetune", "--init-from, perhaps with --freeze network"},
           {"val-split", "--validation"},
           {"eval-every", "--validate-every"},
           {"print-freq", "--progress"},
           {"log-file", "RUN/log.txt, which every run writes"},
           {"optimizer", "--opt"},
           {"opt-betas", "--betas"},
           {"opt-eps", "--eps"},
           {"model-ema", "--ema 0.999"},
           {"model-ema-decay", "--ema"},
           {"ema-decay", "--ema"},
           {"on-nonfinite", "--bad-steps"},
           {"list-archs", "--help: -a names them"},
           {"V", "--version"}})
    table.synonym(word, answer);
}

/// Rates suit the optimizer that they were found for: where only the optimizer is given, and is not
/// the architecture's, the rate becomes one that is usual for it, and the class means follow it.
void settle_rates(OptionTable& table, const TrainOptions& o) {
  std::string usual = table.at("opt").architecture_default(o.arch);
  if (usual.empty()) usual = "sgd";
  if (table.at("opt").text() == usual) return;
  const auto becomes = [&table](const char* name, const char* value) {
    Option& rate = table.at(name);
    if (rate.origin() <= Origin::architecture) rate.set(value, Origin::architecture, rate.flag());
  };
  becomes("lr", o.optimizer == OptimizerKind::adamw ? "0.001" : "0.05");
  becomes("lr-mu", "lr");
}

}  // namespace

void add_train_options(OptionTable& table, TrainOptions& options) {
  add_synonyms(table);
  add_training_data_options(table, options);
  add_model(table, options);
  add_recipe(table, options);
  add_memory_options(table, options);
  add_process_options(table, options);
}

void finish_train_options(OptionTable& table, TrainOptions& o) {
  table.apply_architecture(o.arch);
  settle_rates(table, o);
  o.update = update_options(o);
  table.check_effects(preset(o.arch).family == ModelFamily::flow);
  // The images' size is not known yet; the loader checks it.
  TransformSpec transform = loader_options(o).transform;
  transform.size = 1;
  with_dashes([&] { check_transform(transform); });
  check_model_options(o);
}

}  // namespace pal
