#!/usr/bin/env python3
"""Training steps of ibinn-imagenet in PyTorch: the rival of bench_train_step.

Random weights and images, SGD with momentum and clipping as pal-train has them. Prints one JSON
object: versions, the rate of a large matrix product, and a row for each case; with --out it writes it
to a file, anew after every case. Exit code 77 without PyTorch or without the GPU that was asked for.
    bench/steps/torch_step.py --device cuda --batch-sizes 8,64,256 --precisions fp32,tf32,bf16
"""

import argparse
import json
import os
import signal
import statistics
import sys
import time

try:
    import torch
except (ImportError, OSError) as error:  # or one without its libraries
    print(f"torch_step: SKIPPED: this Python has no PyTorch ({error})", file=sys.stderr)
    sys.exit(77)

from torch_network import IbInn

CLIP_NORM = 8.0
WARM_UPS = 5
PEAK_SIDE = 8192


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    split = lambda text: text.split(",")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch-sizes", type=split, default=["8", "64", "256"])
    parser.add_argument("--precisions", type=split, default=["fp32", "tf32", "bf16"])
    parser.add_argument("--modes", type=split, default=["store", "checkpoint"],
                        help="store, checkpoint (per block), graph (store, as a CUDA graph), "
                             "compile (store), compile-graph")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=20, help="timed ones")
    parser.add_argument("--budget", type=float, default=1e9,
                        help="seconds after which no further case is begun")
    parser.add_argument("--out", help="a file for the JSON object")
    return parser.parse_args()


def set_precision(precision):
    # With bf16 subnets the little that stays float32 gets TF32 too, as AMP users have it.
    tf32 = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


class Step:
    """One model with its optimizer."""

    def __init__(self, args, precision, batch, mode):
        self.device = torch.device(args.device)
        self.bf16 = precision == "bf16"
        model = IbInn(args.image_size, checkpointed=mode == "checkpoint")
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.network = self.model.network_parameters()
        groups = [{"params": self.network}, {"params": list(self.model.head.parameters())}]
        self.optimizer = torch.optim.SGD(groups, lr=1e-6, momentum=0.9, fused=True)
        shape = (batch, 3, args.image_size, args.image_size)
        self.images = torch.randn(shape, device=self.device).contiguous(
            memory_format=torch.channels_last)
        self.labels = torch.arange(batch, device=self.device) % 1000
        self.loss_of = self.model
        if mode == "compile":
            self.loss_of = torch.compile(self.model)
        elif mode == "compile-graph":
            self.loss_of = torch.compile(self.model, mode="reduce-overhead")
        self.run = self.step
        if mode == "graph":
            self.run = self.recorded()

    def backward(self):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.loss_of(self.images, self.labels)
        loss.backward()
        return loss

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.backward()
        torch.nn.utils.clip_grad_norm_(self.network, CLIP_NORM, foreach=True)
        self.optimizer.step()
        return loss

    def recorded(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self.step()

        def replay():
            graph.replay()
            return loss

        return replay

    def activation_bytes(self):
        """Peak of a forward and backward pass above parameters, gradients and momentum."""
        self.optimizer.zero_grad(set_to_none=False)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self.backward()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before


def seconds_of_steps(step, count):
    """Of each step; a GPU is not waited for in between."""
    if step.device.type == "cpu":
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            step.run()
            seconds.append(time.perf_counter() - start)
        return seconds
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    events[0].record()
    for event in events[1:]:
        step.run()
        event.record()
    torch.cuda.synchronize()
    return [1e-3 * a.elapsed_time(b) for a, b in zip(events, events[1:])]


def measure(args, precision, batch, mode):
    set_precision(precision)
    begin = time.perf_counter()
    step = Step(args, precision, batch, mode)
    on_gpu = step.device.type == "cuda"
    for _ in range(WARM_UPS if on_gpu else 1):
        loss = step.run()
    row = {"framework": "PyTorch", "arch": "ibinn-imagenet", "batch": batch, "mode": mode,
           "precision": precision, "steps": args.steps}
    if on_gpu:
        torch.cuda.synchronize()
        if mode in ("store", "checkpoint"):
            row["peak_activation_bytes"] = step.activation_bytes()
            step.run()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    row["seconds_before_timing"] = round(time.perf_counter() - begin, 1)
    seconds = seconds_of_steps(step, args.steps)
    median = statistics.median(seconds)
    row |= {"images_per_s": batch / median, "ms_per_step_median": 1e3 * median,
            "ms_per_step_fastest": 1e3 * min(seconds),
            "ms_per_step_mean": 1e3 * statistics.mean(seconds), "loss": float(loss.detach())}
    if on_gpu:
        row["peak_bytes"] = torch.cuda.max_memory_allocated()
        row["reserved_bytes"] = torch.cuda.max_memory_reserved()
    return row


def matmul_peak(precision):
    """TFLOP/s of a large product on the GPU."""
    set_precision(precision)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.rand(PEAK_SIDE, PEAK_SIDE, device="cuda", dtype=dtype) - 0.5 for _ in range(2))
    times = []
    for _ in range(12):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        a @ b
        stop.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(stop))
    return 2e-9 * PEAK_SIDE**3 / statistics.median(times[2:])


def write(args, answer):
    text = json.dumps(answer, indent=1)
    if not args.out:
        print(text)
        return
    with open(args.out + ".new", "w", encoding="utf-8") as out:
        out.write(text + "\n")
    os.replace(args.out + ".new", args.out)


def run(args, answer):
    """Fills `answer` case by case, so that a run that is cut off keeps what it has."""
    begin = time.perf_counter()
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    answer |= {"torch": torch.__version__, "device": "cpu"}
    if args.device.startswith("cuda"):
        answer |= {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda,
                   "cudnn": torch.backends.cudnn.version(),
                   "matmul_tflop_per_s": {p: matmul_peak(p) for p in args.precisions}}
    for batch in map(int, args.batch_sizes):
        for precision in args.precisions:
            for mode in args.modes:
                name = f"batch {batch} {precision} {mode}"
                skipped = {"batch": batch, "precision": precision, "mode": mode}
                if time.perf_counter() - begin > args.budget:
                    answer["rows"].append(skipped | {"skipped": "out of time"})
                    continue
                try:
                    row = measure(args, precision, batch, mode)
                    print(f"torch_step: {name}: {row['ms_per_step_median']:.2f} ms, "
                          f"{row['images_per_s']:.1f} images/s", file=sys.stderr, flush=True)
                except RuntimeError as error:  # out of memory, or not to be compiled
                    reason = str(error).strip().split("\n")[0][:200]
                    print(f"torch_step: SKIPPED: {name}: {reason}", file=sys.stderr, flush=True)
                    row = skipped | {"skipped": reason}
                answer["rows"].append(row)
                if args.out:
                    write(args, answer)
                if mode.startswith("compile"):
                    torch.compiler.reset()
                if args.device.startswith("cuda"):
                    torch.cuda.empty_cache()


class Stopped(BaseException):
    """No Exception: torch.compile takes those of a compilation for its own."""


def stop(*_):
    raise Stopped


def main():
    args = parse()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"torch_step: SKIPPED: PyTorch {torch.__version__} sees no GPU", file=sys.stderr)
        return 77
    figures = {"rows": []}
    signal.signal(signal.SIGTERM, stop)
    try:
        run(args, figures)
    except Stopped:
        print("torch_step: stopped", file=sys.stderr)
    finally:
        write(args, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
