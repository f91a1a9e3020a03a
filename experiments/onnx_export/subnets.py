"""Subnets of couplings (layers/models/README.md, 5) and branches of residual blocks (8)."""
from dataclasses import dataclass

import numpy as np

from .graph import Maps

EPSILON = 1e-5  # of batch norms


@dataclass(frozen=True)
class Layer:
    """`conv`, `norm` or `relu`. Tensors are named by the place in the subnet unless there is a name."""

    kind: str
    out: int = 0
    kernel: int = 1
    stride: int = 1
    bias: bool = False
    name: str = ""


NORM, RELU = Layer("norm"), Layer("relu")


def conv(out, kernel=1, stride=1, bias=False, name=""):
    return Layer("conv", out, kernel, stride, bias, name)


def stage_subnet(kind, width, out, stride):
    """`bottleneck` or `basic`: that of couplings in the stages."""
    if kind == "bottleneck":
        return [NORM, RELU, conv(width), NORM, RELU, conv(width, 3, stride), NORM, RELU, conv(4 * width),
                NORM, RELU, conv(out, bias=True)]
    return [NORM, RELU, conv(width, 3), NORM, RELU, conv(width, 3, stride), NORM, RELU, conv(out, bias=True)]


def entry_subnet(width, out, wide_kernel):
    """The first of the entry's coupling, which halves the image."""
    if wide_kernel:
        return [conv(width, 7, 2), NORM, RELU, conv(out, bias=True)]
    return [conv(width, 3), NORM, RELU, conv(width, 3, 2), NORM, RELU, conv(out, bias=True)]


def entry_low_subnet(width, out):
    """The second of the entry's coupling."""
    return [conv(width, 3), NORM, RELU, conv(out)]


def pointwise_subnet(width, out):
    """That of the coupling after the entry."""
    return [conv(width, bias=True), RELU, conv(out, bias=True)]


def _norm_factors(tensors, name, channels):
    """A batch norm with its running statistics as x * scale + offset, in double."""
    weight, bias, mean, variance = (tensors.take(f"{name}.{what}", [channels]).astype(np.float64)
                                    for what in ("weight", "bias", "running_mean", "running_var"))
    scale = weight / np.sqrt(variance + EPSILON)
    return scale, bias - mean * scale


def run_subnet(graph, tensors, prefix, layers, x):
    """The layers on maps. A batch norm behind a convolution is folded into it, one without stays as a factor and an
    offset per channel; constants keep the names of the tensors that they were made of."""
    names = [f"{prefix}{layer.name or place}" for place, layer in enumerate(layers)]
    at = 0
    while at < len(layers):
        layer, name = layers[at], names[at]
        if layer.kind == "relu":
            x = Maps(graph.node("Relu", x.name), x.channels, x.height, x.width)
        elif layer.kind == "norm":
            scale, offset = _norm_factors(tensors, name, x.channels)
            x = graph.per_channel(x, (f"{name}.weight", scale), (f"{name}.bias", offset))
        else:
            weight = tensors.take(f"{name}.weight", [layer.out, x.channels, layer.kernel, layer.kernel])
            bias = (f"{name}.bias", tensors.take(f"{name}.bias", [layer.out])) if layer.bias else None
            if at + 1 < len(layers) and layers[at + 1].kind == "norm":
                at += 1
                scale, offset = _norm_factors(tensors, names[at], layer.out)
                weight = weight.astype(np.float64) * scale[:, None, None, None]
                bias = (f"{names[at]}.bias", offset if bias is None else offset + bias[1] * scale)
            x = graph.convolution(x, (f"{name}.weight", weight), bias, layer.stride)
        at += 1
    return x
