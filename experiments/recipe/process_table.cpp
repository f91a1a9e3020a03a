#include "experiments/recipe/process_table.h"

namespace pal {
namespace {

void add_start(OptionTable& table, TrainOptions& o) {
  table
      .text("output", o.output,
            "Run folder; with --resume the run's own, or another one that takes a copy of it")
      .letter('o')
      .unit("RUN")
      .on_resume(OnResume::process)
      .unsaved();
  table
      .text("resume", o.resume,
            "Go on with a run: its folder, one of its checkpoints, or auto, the newest of -o. The "
            "run's own options hold unless others are given")
      .unit("RUN")
      .on_resume(OnResume::process)
      .unsaved();
  table
      .text("init-from", o.init_from,
            "Start from the weights of a run or checkpoint: what fits is loaded, new classes get "
            "new means")
      .unit("RUN")
      .path();
}

void add_ranks(OptionTable& table, TrainOptions& o) {
  table.group("Ranks (mpirun, srun, torchrun)");
  table.choice<CommKind>(
      "comm", o.comm,
      {{"auto", CommKind::automatic}, {"cpu", CommKind::cpu}, {"nccl", CommKind::nccl}},
      "How gradients travel; auto: by NCCL between GPUs, else by Gloo; cpu: through the host, "
      "which lets ranks share a GPU");
  table
      .toggle("sync-bn", o.sync_bn,
              "Batch norms see the images of all ranks, not each those of its own")
      .on_resume(OnResume::changes)
      .recorded();
  table
      .bytes("bucket", o.bucket,
             "Bytes of gradients that are summed at once, while the backward pass goes on")
      .on_resume(OnResume::changes);
  table
      .choice<bool>("bucket-precision", o.bucket_bf16, {{"fp32", false}, {"bf16", true}},
                    "Numbers that gradients travel as; bf16: half the bytes, rounded sums")
      .on_resume(OnResume::changes)
      .recorded();
  table
      .duration("join-timeout", o.join_seconds,
                "How long is waited at the start until all ranks are there")
      .on_resume(OnResume::process);
  table
      .duration("rank-timeout", o.rank_timeout,
                "How long ranks wait, after the first step, for one that is alive but does not "
                "arrive; then it counts as lost; 0: for ever")
      .on_resume(OnResume::process);
  table
      .text("log-ranks", o.log_ranks,
            "Folder for the logs of the ranks from 1 on, which else say nothing but their errors")
      .unit("DIR")
      .on_resume(OnResume::process);
}

void add_checkpoints(OptionTable& table, TrainOptions& o) {
  table.whole("checkpoint-every", o.checkpoint_every, "Steps between checkpoints; auto: each epoch")
      .unit("STEPS")
      .at_least(0)
      .word("auto", 0);
  table.whole("keep-checkpoints", o.keep_checkpoints, "Step checkpoints to keep").at_least(1);
  table.number("validate-every", o.validate_every, "Epochs between validations; 0: at the end only")
      .unit("EPOCHS")
      .at_least(0)
      .on_resume(OnResume::changes)
      .recorded();
  table
      .whole("check-every", o.check_every,
             "Steps between checks on --check-images of the validation images; 0: none")
      .unit("STEPS")
      .at_least(0)
      .by_architecture({{"ibinn-imagenet", "1000"}, {"resnet50", "1000"}});
  table.whole("check-images", o.check_images, "Images of such a check")
      .only("with --check-every", [&o] { return o.check_every > 0; })
      .unit("IMAGES")
      .at_least(1);
}

void add_watching(OptionTable& table, TrainOptions& o) {
  table.toggle("tensorboard", o.tensorboard,
               "Also write the curves for TensorBoard, into RUN/tensorboard");
  table
      .toggle("dry-run", o.dry_run,
              "Print the plan (shapes, parameters, memory, recipe, time) and stop")
      .on_resume(OnResume::process)
      .unsaved();
  table
      .toggle("print-config", o.print_config,
              "Print all options with their values as a TOML file and stop")
      .on_resume(OnResume::process)
      .unsaved();
  table.toggle("profile", o.profile, "Print time, bytes and rates by kernel at the end")
      .on_resume(OnResume::process)
      .unsaved();
  table.file("trace", o.trace, "Write a chrome://tracing file")
      .on_resume(OnResume::process)
      .unsaved();
  table.toggle("json", o.json, "Print the summary (or the plan) as JSON")
      .on_resume(OnResume::process)
      .unsaved();
  table.toggle("quiet", o.quiet, "Only warnings and results")
      .letter('q')
      .on_resume(OnResume::process)
      .unsaved();
  table.toggle("verbose", o.verbose, "More lines")
      .letter('v')
      .on_resume(OnResume::process)
      .unsaved();
  add_progress_option(table, o.progress).on_resume(OnResume::process).unsaved();
  table.file("config", o.config_file, "TOML file with these options (without dashes); flags win")
      .on_resume(OnResume::process)
      .unsaved();
}

}  // namespace

void add_memory_options(OptionTable& table, TrainOptions& o) {
  table.group("Memory and numerics");
  table
      .custom(
          "activation-memory", OptionKind::text,
          [&o](const std::string& text) { o.memory = MemoryRequest::parse(text); },
          [&o] { return o.memory.text(); },
          "auto: the fastest plan within 1.5 times the activations of rebuilding every block "
          "(flows by inversion, a ResNet block by block); min: the least; max: store everything; "
          "or a limit such as 512MiB; scratch memory of libraries comes on top")
      .unit("BYTES")
      .values({"auto", "min", "max"})
      .by_architecture({{"resnet50", "max"}, {"resnet-small", "max"}})
      .on_resume(OnResume::changes)
      .recorded();
  table
      .whole("stream-anchors", o.stream_anchors,
             "Every how many blocks an input is kept; auto: none in fp32, every 4 in bf16")
      .unit("BLOCKS")
      .at_least(1)
      .word("auto", -1)
      .word("none", 0)
      .families(Families::flows)
      .on_resume(OnResume::changes)
      .recorded();
  table
      .whole("inversion-check-every", o.inversion_check_every,
             "Steps between checks of one random block's inversion; 0: never")
      .unit("STEPS")
      .at_least(0)
      .families(Families::flows);
  table
      .choice<OnInversionError>(
          "on-inversion-error", o.on_inversion_error,
          {{"stop", OnInversionError::stop}, {"warn", OnInversionError::warn}},
          "Beyond a relative error of 1e-1: stop (exit 5) or warn")
      .families(Families::flows);
  add_memory_limit(table, o.memory_limit);
  table.toggle("memory-report", o.memory_report, "Print the peak memory by tag at the end")
      .on_resume(OnResume::process)
      .unsaved();
}

void add_process_options(OptionTable& table, TrainOptions& o) {
  table.group("Run");
  add_start(table, o);
  add_checkpoints(table, o);
  add_compute_options(table, o.compute);
  table.choice<GraphUse>(
      "cuda-graph", o.cuda_graph,
      {{"auto", GraphUse::automatic}, {"on", GraphUse::on}, {"off", GraphUse::off}},
      "GPU: launch whole steps as a CUDA graph");
  add_seed_option(table, o.seed).on_resume(OnResume::keeps).recorded();
  add_ranks(table, o);
  table.group("What it tells");
  add_watching(table, o);
}

}  // namespace pal
