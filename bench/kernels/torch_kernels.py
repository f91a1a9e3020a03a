#!/usr/bin/env python3
"""The cases of bench_kernels in PyTorch: its rival, kernel by kernel.

Reads names of cases from stdin and answers each with a JSON line, {"name", "us"} with the fastest
call, or {"name", "skipped"} where PyTorch has nothing like it. Tensors are those of bench_kernels:
NHWC by channels_last, the same sizes and types; results go to new tensors, as eager code has it.
Runs on the CPU. Exit code 77 without PyTorch.
    bench/kernels/torch_kernels.py --threads 2 < names
"""

import argparse
import json
import math
import re
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("torch_kernels: SKIPPED: this Python has no PyTorch", file=sys.stderr)
    sys.exit(77)

ELEMENTS = {"cache": 1 << 16, "dram": 1 << 25}
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
LEAST_CALLS = 5
SECONDS = 0.05
CLAMP = 0.7


def image_shape(elements, channels):
    """[n, h, w, c] as bench_kernels has it on the CPU."""
    side = 7 if channels >= 768 else 14
    return max(1, elements // (side * side * channels)), side, side, channels


def rand(shape, dtype=torch.float32):
    return (2 * torch.rand(shape) - 1).to(dtype)


def nhwc(shape, dtype=torch.float32):
    """A tensor [n, c, h, w] whose memory is [n, h, w, c]."""
    return rand(shape, dtype).permute(0, 3, 1, 2)


def conv(family, case):
    match = re.fullmatch(r"(\d)x\dx?s(\d)/(\d+)->(\d+)@(\d+)/b(\d+)/(\w+)", case)
    kernel, stride, inputs, outputs, size, batch = map(int, match.groups()[:-1])
    dtype = TYPES[match.group(7)]
    padding = kernel // 2
    out = (size + 2 * padding - kernel) // stride + 1
    x = nhwc((batch, size, size, inputs), dtype)
    y = nhwc((batch, out, out, outputs), dtype)
    weight = rand((outputs, inputs, kernel, kernel), dtype).to(memory_format=torch.channels_last)
    where = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1
    if family == "conv_forward":
        return lambda: torch.ops.aten.convolution(x, weight, None, *where)
    mask = [family == "conv_backward_data", family == "conv_backward_weight", False]
    return lambda: torch.ops.aten.convolution_backward(y, x, weight, None, *where, mask)


def gemm(_, case):
    m, n, k = map(int, case.split("/")[1].split("x"))
    dtype = TYPES[case.split("/")[2]]
    a, b = rand((m, k), dtype), rand((n, k), dtype)
    return lambda: a @ b.T


def batch_norm(family, case):
    size, channels, types = case.split("/")
    of_x, of_y = (TYPES[name] for name in types.split("_"))
    c = int(channels[1:])
    x = nhwc(image_shape(ELEMENTS[size], c), of_x)
    mean, weight, bias = rand(c), rand(c), rand(c)
    variance, running = torch.ones(c), (torch.zeros(c), torch.ones(c))
    if family == "batch_statistics":
        return lambda: torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
    if family == "batch_norm_forward":
        return lambda: F.batch_norm(x, mean, variance, weight, bias, False).relu_().to(of_y)
    if family == "batch_norm_training":
        return lambda: F.batch_norm(x, *running, weight, bias, True, 0.05).relu_().to(of_y)
    y, grad_y = nhwc(image_shape(ELEMENTS[size], c), of_y), nhwc(image_shape(ELEMENTS[size], c), of_y)

    def backward():
        grad = torch.ops.aten.threshold_backward(grad_y, y, 0).to(of_x)
        return torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, *running, mean, variance, True, 1e-5, [True, True, True])
    return backward


def act_norm(family, case):
    size, channels, _ = case.split("/")
    c = int(channels[1:])
    x, grad = rand(image_shape(ELEMENTS[size], c)), rand(image_shape(ELEMENTS[size], c))
    scale, offset = rand(c), rand(c)
    if family == "act_norm_forward":
        return lambda: torch.addcmul(offset, x, scale)
    return lambda: (grad * scale, (grad * x).sum((0, 1, 2)), grad.sum((0, 1, 2)))


def coupling(family, case):
    """In eager operations, backward by autograd; an inverse that is followed by a backward pass
    records the forward one anew, as an invertible network in PyTorch does."""
    size, channels, dtype, order = case.split("/")
    c = int(channels[1:])
    shape = image_shape(ELEMENTS[size], c)
    half = c // 2
    index = torch.randperm(c)
    inverse_index = torch.argsort(index)
    x, a = rand(shape), rand(shape[:3] + (2 * half,), TYPES[dtype])
    scale, offset = torch.rand(c) + 0.5, rand(c)
    leaves = [x, a, scale, offset]
    for leaf in leaves:
        leaf.requires_grad_("backward" in family)

    def parts():
        log_s = CLAMP * torch.tanh(a[..., :half].float())
        return log_s, a[..., half:].float()

    def forward(x):
        log_s, t = parts()
        y = torch.cat([x[..., :c - half], x[..., c - half:] * log_s.exp() + t], -1)
        if order == "permuted":
            y = y.index_select(-1, index)
        return y * scale + offset, log_s.sum((1, 2, 3))

    def inverse(y):
        log_s, t = parts()
        y = (y - offset) / scale
        if order == "permuted":
            y = y.index_select(-1, inverse_index)
        active = (y[..., c - half:] - t) * (-log_s).exp()
        return torch.cat([y[..., :c - half], active], -1), -log_s.sum((1, 2, 3))

    if family == "coupling_forward":
        return lambda: forward(x)
    if family == "coupling_inverse":
        return lambda: inverse(x)
    grad_y, grad_log_det = rand(shape), rand(shape[0])
    if family == "coupling_backward":
        outputs = forward(x)
        return lambda: torch.autograd.grad(outputs, leaves, (grad_y, grad_log_det), retain_graph=True)
    y = rand(shape)

    def inverse_backward():
        with torch.no_grad():
            rebuilt = inverse(y)[0]
        with torch.enable_grad():
            rebuilt.requires_grad_()
            outputs = forward(rebuilt)
        return torch.autograd.grad(outputs, [rebuilt, *leaves[1:]], (grad_y, grad_log_det))
    return inverse_backward


def quarters(x):
    return x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]


def halving(family, case):
    """Haar by slices and sums, squeezing by one copy."""
    size, channels = case.split("/")
    c = int(channels[1:])
    batch = max(1, ELEMENTS[size] // (28 * 28 * c))
    high, low = rand((batch, 28, 28, c)), rand((batch, 14, 14, 4 * c))
    if family == "squeeze":
        return lambda: (high.view(batch, 14, 2, 14, 2, c).permute(0, 1, 3, 2, 4, 5)
                        .reshape(batch, 14, 14, 4 * c))
    if family == "unsqueeze":
        return lambda: (low.view(batch, 14, 14, 2, 2, c).permute(0, 1, 3, 2, 4, 5)
                        .reshape(batch, 28, 28, c))

    def mixed(p, q, r, s):
        a, b, e, f = p + q, r + s, p - q, r - s
        return (a + b) * 0.5, (e + f) * 0.5, (a - b) * 0.5, (e - f) * 0.5

    if family == "haar_forward":
        return lambda: torch.cat(mixed(*quarters(high)), -1)

    def inverse():
        x = torch.empty_like(high)
        for to, value in zip(quarters(x), mixed(*low.chunk(4, -1))):
            to.copy_(value)
        return x
    return inverse


def dct(family, case):
    size, shape = case.split("/")
    c = int(shape.split("x")[2])
    batch = max(1, ELEMENTS[size] // (49 * c))
    x = rand((batch, 7, 7, c))
    matrix = rand((7, 7))
    d = matrix if family == "dct_forward" else matrix.T.contiguous()

    def both_sides():
        rows = torch.matmul(d, x.view(batch, 7, 7 * c))
        return torch.matmul(d, rows.view(batch * 7, 7, c)).view(batch, 49 * c)
    return both_sides


def permute_channels(_, case):
    size, channels = case.split("/")
    c = int(channels[1:])
    x, index = rand(image_shape(ELEMENTS[size], c)), torch.randperm(c)
    return lambda: torch.index_select(x, -1, index)


def pool(family, case):
    size, channels = case.split("/")
    x = nhwc(image_shape(ELEMENTS[size], int(channels[1:])))
    window = [3, 3], [2, 2], [1, 1], [1, 1], False
    if family == "average_pool_forward":
        return lambda: x.mean((2, 3))
    if family == "average_pool_backward":
        grad, count = rand(x.shape[:2]), x.shape[2] * x.shape[3]
        return lambda: (grad / count)[:, :, None, None].expand(x.shape).contiguous(
            memory_format=torch.channels_last)
    if family == "max_pool_forward":
        return lambda: torch.ops.aten.max_pool2d_with_indices(x, *window)
    y, index = torch.ops.aten.max_pool2d_with_indices(x, *window)
    return lambda: torch.ops.aten.max_pool2d_with_indices_backward(y, x, *window, index)


def softmax(family, case):
    rows, classes = map(int, case.split("x"))
    x = rand((rows, classes))
    if family == "softmax":
        return lambda: torch.softmax(x, 1)
    labels = torch.full((rows,), 7)
    x.requires_grad_()
    return lambda: torch.autograd.grad(F.cross_entropy(x, labels), x)


def elementwise(family, case):
    size, dtype, *channels = case.split("/")
    dtype, count = TYPES[dtype], ELEMENTS[size]
    if family == "channel_sums":
        c = int(channels[0][1:])
        rows = rand(image_shape(count, c), dtype).view(-1, c)
        return lambda: rows.sum(0)
    x, y = rand(count, dtype), rand(count, dtype)
    other = torch.bfloat16 if dtype == torch.float32 else torch.float32
    return {"add_into": lambda: y.add_(x),
            "relu_forward": lambda: torch.relu(x),
            "relu_backward": lambda: torch.ops.aten.threshold_backward(x, y, 0),
            "add_relu": lambda: y.add_(x).relu_(),
            "copy_convert_from": lambda: x.to(other),
            "squared_norm": lambda: torch.linalg.vector_norm(x)}[family]


def update_step(family, case):
    count = ELEMENTS[case.split("/")[0]]
    lists = [[rand(count)] for _ in range(3)]
    if family == "adamw_step":
        # Parameters, gradients, first moments; then second ones, none of amsgrad's, and the count.
        lists += [[torch.ones(count, device=lists[0][0].device)], []]
        steps = [torch.ones((), device=lists[0][0].device)]
        return lambda: torch._fused_adamw_(*lists, steps, lr=1e-6, beta1=0.9, beta2=0.999,
                                           weight_decay=0.0, eps=1e-8, amsgrad=False,
                                           maximize=False)
    return lambda: torch._fused_sgd_(*lists, weight_decay=0.0, momentum=0.9, lr=1e-6, dampening=0.0,
                                     nesterov=False, maximize=False, is_first_step=False)


def attack_step(family, case):
    """Steps on images of 32 x 32 x 3, each with a rate of its own."""
    shape = (ELEMENTS[case.split("/")[0]] // 3072, 3072)
    x, grad = rand(shape), rand(shape)
    rates = torch.full((shape[0], 1), 1e-6)
    if family == "combine_samples":
        return lambda: x.addcmul_(rates, grad.sign())
    v, first, second = rand(shape), rand(shape), torch.ones(shape)
    original, image = torch.full(shape, 0.5), torch.sigmoid(2 * v)

    def step():
        g = (grad + 2 * (image - original)) * (2 * image * (1 - image))
        first.lerp_(g, 0.1)
        second.mul_(0.999).addcmul_(g, g, value=0.001)
        v.sub_(rates * (first / (second.sqrt() + 1e-8)))
        torch.sigmoid(2 * v, out=image)

    return step


# {name: (classes, dims, mean dims, rank)}
HEADS = {"ibinn-imagenet": (1000, 150528, 3072, 128), "ibinn-mnist": (10, 784, 784, 0)}


def mixture(family, case):
    """-|z - mu_y|^2 / 2 by products, with low-rank means that are never made."""
    name, batch = case.split("/")
    classes, dims, mean_dims, rank = HEADS[name]
    backward = family == "mixture_backward"
    leaves = [rand((int(batch[1:]), dims)), rand((classes, mean_dims))]
    if rank:
        leaves += [rand((classes, rank)), rand((rank, dims - mean_dims))]
    for leaf in leaves:
        leaf.requires_grad_(backward)

    def scores():
        z, mean, *low = leaves
        result = z[:, :mean_dims] @ mean.T
        norms = mean.square().sum(1)
        if low:
            alpha, prototypes = low
            result = result + (z[:, mean_dims:] @ prototypes.T) @ alpha.T
            norms = norms + ((alpha @ (prototypes @ prototypes.T)) * alpha).sum(1)
        return result - 0.5 * norms

    if not backward:
        return scores
    made = scores()
    grad = rand(made.shape)
    return lambda: torch.autograd.grad(made, leaves, grad, retain_graph=True)


FAMILIES = {"conv_forward": conv, "conv_backward_data": conv, "conv_backward_weight": conv,
            "gemm": gemm, "batch_statistics": batch_norm, "batch_norm_forward": batch_norm,
            "batch_norm_training": batch_norm, "batch_norm_backward": batch_norm,
            "act_norm_forward": act_norm, "act_norm_backward": act_norm,
            "coupling_forward": coupling, "coupling_inverse": coupling,
            "coupling_backward": coupling, "coupling_inverse_backward": coupling,
            "haar_forward": halving, "haar_inverse": halving, "haar_backward": halving,
            "squeeze": halving, "unsqueeze": halving, "dct_forward": dct, "dct_inverse": dct,
            "dct_backward": dct, "permute_channels": permute_channels,
            "average_pool_forward": pool, "average_pool_backward": pool, "max_pool_forward": pool,
            "max_pool_backward": pool, "softmax": softmax, "cross_entropy": softmax,
            "add_into": elementwise, "relu_forward": elementwise, "relu_backward": elementwise,
            "add_relu": elementwise, "copy_convert_from": elementwise,
            "squared_norm": elementwise, "channel_sums": elementwise,
            "sgd_step": update_step, "adamw_step": update_step,
            "combine_samples": attack_step, "tanh_adam_step": attack_step,
            "mixture_scores": mixture, "mixture_backward": mixture}


def fastest(work):
    """Seconds of the fastest call; the first, which plans and allocates, does not count."""
    work()
    least, start, calls = math.inf, time.perf_counter(), 0
    while calls < LEAST_CALLS or time.perf_counter() - start < SECONDS:
        before = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - before)
        calls += 1
    return least


def answer(name):
    family, _, case = name.partition("/")
    if family not in FAMILIES:
        return {"name": name, "skipped": "no twin"}
    if case.startswith("memory/"):
        return {"name": name, "skipped": "a case of a GPU"}
    try:
        grad = family.endswith("backward") or family == "cross_entropy"
        work = FAMILIES[family](family, case)
        with torch.set_grad_enabled(grad):
            return {"name": name, "us": float(f"{1e6 * fastest(work):.4g}")}
    except (AttributeError, KeyError, ValueError, RuntimeError) as error:
        return {"name": name, "skipped": str(error).splitlines()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, help="default: PyTorch's own")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line.strip())), flush=True)


if __name__ == "__main__":
    main()
