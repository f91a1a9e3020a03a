#!/usr/bin/env python3
"""ibinn-imagenet in PyTorch, compiled by torch.compile: a rival of bench/steps/step.py.

Speaks the workers' protocol (bench/README.md) over the network of torch_network.py, with the weights
and the batch of a file that step_worker wrote. The first step compiles, which takes minutes.
    bench/steps/torch_worker.py [--mode default|max-autotune|freezing|eager]
Exit code 77 without PyTorch.
"""

import argparse
import json
import sys
import time

try:
    import torch
except (ImportError, OSError) as error:  # or one without its libraries
    print(f"torch_worker: SKIPPED: this Python has no PyTorch ({error})", file=sys.stderr)
    sys.exit(77)

from safetensors import safe_open

from torch_network import load_network
from torch_step import CLIP_NORM

OPTIONS = {"default": {}, "max-autotune": {"max_autotune": True}, "freezing": {"freezing": True},
           "eager": None}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mode", default="default", choices=list(OPTIONS),
                        help="options of torch.compile; freezing: for inference, weights are "
                             "constants; eager: not compiled")
    return parser.parse_args()


def peak_resident_bytes():
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def forget_peak():
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as clear:
        clear.write("5")  # VmHWM: proc(5)


class Network:
    """The network of a file, its batch and its optimizer."""

    def __init__(self, args, command):
        self.device = torch.device(command.get("device", "cpu"))
        self.bf16 = command.get("precision", "fp32") == "bf16"
        with safe_open(command["file"], "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            configuration = json.loads(file.metadata()["configuration"])
        self.model = load_network(configuration, tensors).to(
            self.device, memory_format=torch.channels_last)
        self.images = tensors["bench.images"].to(self.device).contiguous(
            memory_format=torch.channels_last)
        self.labels = tensors["bench.labels"].to(self.device, torch.int64)
        self.parameters = self.model.network_parameters()
        groups = [{"params": self.parameters}, {"params": list(self.model.head.parameters())}]
        self.optimizer = torch.optim.SGD(groups, lr=command.get("lr", 1e-6), momentum=0.9,
                                         fused=True)
        self.network = self.model
        if OPTIONS[args.mode] is not None:
            self.network = torch.compile(self.model, options=OPTIONS[args.mode])

    def loss(self):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.network(self.images, self.labels)

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def step(self):
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM, foreach=True)
        self.optimizer.step()
        self.synchronize()
        return loss.item(), norm.item()

    @torch.no_grad()
    def infer(self):
        self.model.eval()
        return self.loss().item()


class Server:
    """Answers commands; each a method of its name."""

    def __init__(self, args):
        self.args, self.network = args, None

    def load(self, command):
        if command.get("threads"):
            torch.set_num_threads(command["threads"])
        self.network = None
        torch.compiler.reset()
        self.network = Network(self.args, command)
        return {"engine": f"torch {self.args.mode}", "version": torch.__version__,
                "batch": len(self.network.images), "threads": torch.get_num_threads()}

    def train(self, command):
        if command.get("policy", "store") != "store":
            raise ValueError("policy: expected store")
        for group in self.network.optimizer.param_groups:
            group["lr"] = command.get("lr", group["lr"])
        answer = {"seconds": [], "loss": [], "grad_norm": []}
        for _ in range(command.get("steps", 1)):
            start = time.perf_counter()
            loss, norm = self.network.step()
            answer["seconds"].append(time.perf_counter() - start)
            answer["loss"].append(loss)
            answer["grad_norm"].append(norm)
        return answer

    def infer(self, command):
        answer = {"seconds": []}
        for _ in range(command.get("steps", 1)):
            start = time.perf_counter()
            answer["loss"] = self.network.infer()
            answer["seconds"].append(time.perf_counter() - start)
        return answer

    def memory(self, _):
        forget_peak()
        self.network.step()
        return {"resident_peak_bytes": peak_resident_bytes()}


def main():
    server = Server(parse())
    # What compilers print must not become an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("cmd")
        if name == "quit":
            break
        try:
            if name not in ("load", "train", "infer", "memory"):
                raise ValueError(f"unknown command '{name}'")
            if name != "load" and server.network is None:
                raise ValueError("expected the command load first")
            answer = getattr(server, name)(command)
        except Exception as error:  # whatever PyTorch throws is the caller's to read
            answer = {"error": f"{type(error).__name__}: {error}".split("\n")[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
