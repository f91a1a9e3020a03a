"""The parts of gpu_check.sh and their steps, most valuable first."""

import suites
import workloads
from call import Step

NETWORK = "-a ibinn-imagenet --cuda-graph on"
POLICIES = "--policy store,auto,invert"
# Own kernels; convolutions and products are the libraries'.
BESPOKE = "--benchmark_filter=-^(conv|gemm|profile_scope)"

PARTS = {
    # A first visit of ten minutes.
    "quick": [
        Step("test_cuda", 150, suites.test),
        # Of which autotuning may take up to a minute.
        Step("steps", 110, workloads.train_steps,
             f"{NETWORK} -b 64 --precision bf16 {POLICIES} --steps 20 --autotune"),
        Step("torch", 90, workloads.torch_steps,
             "--batch-sizes 64 --precisions bf16 --modes store,graph --steps 20"),
        Step("profile", 40, workloads.profile,
             "-a ibinn-imagenet -b 64 --precision bf16 --policy store,auto --steps 10"),
        Step("kernels", 90, workloads.kernels, BESPOKE),
        Step("racecheck", 60, suites.sanitize("racecheck"), " ".join(suites.SHARING)),
    ],
    # A second one.
    "more": [
        Step("steps-8", 40, workloads.train_steps,
             f"{NETWORK} -b 8 --precision bf16 {POLICIES} --steps 20 --autotune"),
        Step("steps-256", 60, workloads.train_steps,
             f"{NETWORK} -b 256 --precision bf16 {POLICIES} --steps 10 --autotune"),
        Step("torch-batches", 90, workloads.torch_steps,
             "--batch-sizes 8,256 --precisions bf16 --modes graph,store --steps 10"),
        Step("memcheck", 60, suites.sanitize("memcheck")),
        Step("torch-compile", 90, workloads.torch_steps,
             "--batch-sizes 64 --precisions bf16 --modes compile-graph,compile --steps 10"),
        Step("steps-float32", 60, workloads.train_steps,
             f"{NETWORK} -b 64 --precision tf32,fp32 --policy store,auto --steps 10"),
        Step("torch-float32", 60, workloads.torch_steps,
             "--batch-sizes 64 --precisions tf32,fp32 --modes graph --steps 10"),
        Step("ncu", 60, workloads.counters,
             "coupling_forward/memory/c192/bf16/permuted=forward "
             "coupling_inverse_backward/memory/c192/bf16/permuted=backward"),
        Step("test_cudnn_plans", 45, workloads.plans),
        Step("train", 20, workloads.train,
             "--dataset synthetic:10:4096:32 -b 128 --max-steps 40 --cuda-graph on --precision bf16"),
    ],
    # An hour.
    "build": [Step("build", 530, workloads.build)],
    "test": [
        Step("test_cuda", 300, suites.test),
        Step("test_cudnn_plans", 60, workloads.plans),
        Step("programs", 200, workloads.programs_test),
    ],
    "sanitize": [Step(tool, 130, suites.sanitize(tool))
                 for tool in ("memcheck", "racecheck", "synccheck", "initcheck")],
    "kernels": [Step("kernels", 530, workloads.kernels)],
    "step": [
        *[Step(f"steps-{precision}", 110, workloads.train_steps,
               "-a ibinn-imagenet --cuda-graph on,off -b 8,64,256 --steps 20 --autotune "
               f"{POLICIES} --precision {precision}") for precision in ("bf16", "tf32", "fp32")],
        Step("torch", 250, workloads.torch_steps,
             "--batch-sizes 64,8,256 --precisions bf16,tf32,fp32 --modes store,graph,checkpoint "
             "--steps 15"),
        Step("profile", 40, workloads.profile,
             "-a ibinn-imagenet -b 64 --precision bf16 --policy store,auto --steps 10"),
    ],
    "compile": [Step("torch-compile", 530, workloads.torch_steps,
                     "--batch-sizes 64,8,256 --precisions bf16 --modes compile,compile-graph "
                     "--steps 15")],
    "memory": [Step("memory", 530, workloads.memory, "-b 16")],
}
ALL = ("build", "test", "sanitize", "kernels", "step")
# Seconds of a part with all its steps.
TOTALS = {"quick": 540, "more": 350}
OTHER_TOTAL = 580
