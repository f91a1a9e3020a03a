"""The invertible network: blocks, latent vector, class scores and log-density (layers/models/README.md)."""
import math

import numpy as np

from .config import halvings
from .fixed_maps import dct_log_det, dct_pooling, haar, normalised, squeeze
from .graph import Maps, values_per_image
from .mixing import Mixing, act_norm_factors
from .subnets import entry_low_subnet, entry_subnet, pointwise_subnet, run_subnet, stage_subnet


class FlowExport:
    """Adds a flow to a graph, block by block. Names are `blocks.<i>`, i counted from 1 and fixed maps included."""

    def __init__(self, graph, checkpoint, dct_reported):
        self.graph = graph
        self.tensors = checkpoint.tensors
        self.config = checkpoint.config
        self.dct_reported = dct_reported
        self.block = 0
        self.log_dets = []      # values [N] in double, in nats
        self.log_det = 0.0      # what is the same for all images

    def run(self, x):
        """(latent vectors [N, D], their maps' size and channels) of normalised images."""
        config = self.config
        x = self.entry(x) if config["entry"] == "entry" else self.haar(x)
        for count, stride, width in zip(config["blocks"], config["strides"], config["widths"]):
            for number in range(count):
                halves = number == 0 and stride == 2
                strides = (2, 1) if halves else (1, 1)
                subnets = [lambda out, st=st: stage_subnet(config["subnet"], width, out, st) for st in strides]
                x = self.two_sided(x, subnets, True) if halves else self.plain(x, subnets[0])
        return self.pool(x)

    def entry(self, x):
        width, wide_kernel = self.config["entry-width"], self.config["entry-7x7"]
        x = self.two_sided(x, [lambda out: entry_subnet(width, out, wide_kernel),
                               lambda out: entry_low_subnet(width, out)], True)
        x = self.haar(x)
        return self.plain(x, lambda out: pointwise_subnet(x.channels, out))

    def next_block(self):
        self.block += 1
        self.graph.part = f"blocks.{self.block}"
        return self.graph.part + "."

    def haar(self, x):
        self.next_block()
        x, log_det = haar(self.graph, x)
        self.log_det += log_det
        return x

    def plain(self, x, subnet):
        return self.slow(x, subnet) if self.config["coupling"] == "slow" else self.two_sided(x, [subnet] * 2, False)

    def slow(self, x, subnet):
        """Section 1."""
        prefix = self.next_block()
        mixing = Mixing(self.tensors, prefix, x.channels, self.config)
        if self.config["welling"]:
            x = mixing.run(self.graph, x, inverse=True)
        x1, x2 = self.graph.split(x, x.channels - x.channels // 2)
        factors = run_subnet(self.graph, self.tensors, f"{prefix}s.", subnet(2 * x2.channels), x1)
        return self.leave(prefix, mixing, x1, self.affine(x2, factors, 0.1, 0.1))

    def two_sided(self, x, subnets, halves):
        """Sections 2 and 3."""
        prefix = self.next_block()
        graph, half = self.graph, x.channels // 2
        mixing = Mixing(self.tensors, prefix, 4 * x.channels if halves else x.channels, self.config)
        if self.config["welling"] and not halves:
            x = mixing.run(graph, x, inverse=True)
        x1, x2 = graph.split(x, x.channels - half if halves else half)
        first, second = ("s_hi", "s_lo") if halves else ("s1", "s2")
        low1, low2 = (squeeze(graph, x1), squeeze(graph, x2)) if halves else (x1, x2)
        factors = run_subnet(graph, self.tensors, f"{prefix}{first}.", subnets[0](2 * low2.channels), x1)
        y2 = self.affine(low2, factors, 0.2, 1)
        factors = run_subnet(graph, self.tensors, f"{prefix}{second}.", subnets[1](2 * low1.channels), y2)
        return self.leave(prefix, mixing, self.affine(low1, factors, 0.2, 1), y2)

    def affine(self, x, factors, s_gain, t_gain):
        """x exp(clamp tanh(s_gain s)) + t_gain t, and the sum of the exponents."""
        graph = self.graph
        s, t = graph.split(factors, x.channels)
        log_s = graph.times(graph.node("Tanh", graph.times(s.name, s_gain)), self.config["clamp"])
        total = graph.image_sums(log_s)
        if self.config["gin"]:
            mean = graph.node("Div", total, graph.number(float(values_per_image(x)), np.float64))
            shift = graph.node("Reshape", graph.single(mean), graph.integers(-1, 1, 1, 1))
            log_s = graph.node("Sub", log_s, shift)
        else:
            self.log_dets.append(total)
        scaled = graph.node("Mul", x.name, graph.node("Exp", log_s))
        return Maps(graph.add(scaled, graph.times(t.name, t_gain)), x.channels, x.height, x.width)

    def leave(self, prefix, mixing, x1, x2):
        """Both halves joined, then act norm and mixing."""
        channels = x1.channels + x2.channels
        joined = self.graph.node("Concat", x1.name, x2.name, axis=1)
        scale, offset = act_norm_factors(self.tensors, prefix, channels, self.config["act-norm"])
        self.log_det += x1.height * x1.width * (np.log(scale).sum() + mixing.log_det)
        x = self.graph.per_channel(Maps(joined, channels, x1.height, x1.width), (f"{prefix}act_scale", scale),
                                   (f"{prefix}act_offset", offset))
        return mixing.run(self.graph, x)

    def pool(self, x):
        self.next_block()
        z = dct_pooling(self.graph, x, self.config["dct"])
        self.log_det += dct_log_det(x.height, x.channels, self.config["dct"], self.dct_reported)
        if not self.config["latent-norm"]:
            return z
        prefix, graph = self.next_block(), self.graph
        scale, offset = act_norm_factors(self.tensors, prefix, values_per_image(x), self.config["act-norm"])
        self.log_det += np.log(scale).sum()
        scaled = graph.node("Mul", z, graph.constant(f"{prefix}act_scale", scale))
        return graph.add(scaled, graph.constant(f"{prefix}act_offset", offset))


def class_scores(graph, checkpoint, z, dims, mean_dims):
    """l_y [N, classes] (section 7): no mean is spelled out over the dimensions of prototypes."""
    config, tensors = checkpoint.config, checkpoint.tensors
    classes, rank = config["classes"], config["rank"]
    own = mean_dims if rank else dims
    means = tensors.take("mu_mean", [classes, own])
    half_norms = np.square(means, dtype=np.float64).sum(1) / 2
    parts = [z]
    if rank or config["head-permutation"]:
        sizes = [mean_dims] + [dims - mean_dims] * (dims > mean_dims)
        parts = graph.many("Split", len(sizes), z, graph.integers(*sizes), axis=1)
    if config["head-permutation"]:
        order = graph.constant("head_permutation", tensors.take_order("head_permutation", mean_dims), np.int64)
        parts[0] = graph.node("Gather", parts[0], order, axis=1)
    rest = None
    if rank:
        alpha = tensors.take("mu_alpha", [classes, rank])
        prototypes = tensors.take("mu_prototypes", [rank, dims - mean_dims])
        wide = prototypes.astype(np.float64)
        mixed = alpha.astype(np.float64)
        half_norms += np.einsum("yk,kl,yl->y", mixed, wide @ wide.T, mixed, optimize=True) / 2
        projection = graph.node("Gemm", parts[1], graph.constant("mu_prototypes", prototypes), transB=1)
        rest = graph.node("Gemm", projection, graph.constant("mu_alpha", alpha), transB=1)
        parts = parts[:1]
    z_mean = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)
    scores = graph.node("Gemm", z_mean, graph.constant("mu_mean", means),
                        graph.constant("mu.minus_half_norms", -half_norms), transB=1)
    return scores if rest is None else graph.add(scores, rest)


def log_density(graph, scores, z, channels, log_dets, log_det, classes, dims):
    """ln q(x) / D in nats (experiments/measures/README.md, 1), from D on in double."""
    most = graph.node("ReduceMax", scores, axes=[1], keepdims=1)
    exponentials = graph.node("Exp", graph.node("Sub", scores, most))
    beyond = graph.node("Log", graph.node("ReduceSum", exponentials, graph.integers(1), keepdims=0))
    largest = graph.node("Squeeze", most, graph.integers(1))
    rows = graph.node("Reshape", z, graph.integers(0, 1, dims // channels, channels))
    squares = graph.image_sums(graph.node("Mul", rows, rows))
    minus_half = graph.node("Mul", squares, graph.number(-0.5, np.float64))
    constant = log_det - math.log(classes) - dims / 2 * math.log(2 * math.pi)
    total = graph.node("Sum", graph.double(largest), graph.double(beyond), minus_half, *log_dets,
                       graph.number(float(constant), np.float64))
    return graph.single(graph.node("Div", total, graph.number(float(dims), np.float64)))


def add_flow(graph, checkpoint, images, dct_reported):
    """scores [N, classes], log_density [N] and latents [N, D] of images [N, C, H, W]."""
    config = checkpoint.config
    dims = values_per_image(images)
    mean_dims = config["channels"] << 2 * halvings(config)
    flow = FlowExport(graph, checkpoint, dct_reported)
    z = flow.run(normalised(graph, images, checkpoint))
    graph.part = "head"
    scores = class_scores(graph, checkpoint, z, dims, mean_dims)
    density = log_density(graph, scores, z, mean_dims, flow.log_dets, flow.log_det, config["classes"], dims)
    return scores, density, z
