"""Maps without parameters (layers/models/README.md, 3 and 4), and the normalisation of images."""
import math

import numpy as np

from .graph import Maps, values_per_image

REBALANCE = 0.5  # of Haar and DCT


def normalised(graph, images, checkpoint):
    """(images - mean) / std."""
    deviations = np.asarray(checkpoint.std, np.float64)
    return graph.per_channel(images, ("images.scale", 1 / deviations),
                             ("images.offset", -np.asarray(checkpoint.mean, np.float64) / deviations))


def squeeze(graph, x):
    """Channel 4 k + 2 dy + dx of pixel (i, j) is channel k of pixel (2i + dy, 2j + dx)."""
    height, width = x.height // 2, x.width // 2
    # 0 stands for N, which stays.
    tiles = graph.node("Reshape", x.name, graph.integers(0, x.channels, height, 2, width, 2))
    moved = graph.node("Transpose", tiles, perm=[0, 1, 3, 5, 2, 4])
    y = graph.node("Reshape", moved, graph.integers(0, 4 * x.channels, height, width))
    return Maps(y, 4 * x.channels, height, width)


def haar(graph, x):
    """Four wavelets of each 2x2 patch, ordered by wavelet; (y, ln|det| of an image in nats)."""
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) * REBALANCE / 2
    weight = np.tile(signs.reshape(4, 1, 2, 2), (x.channels, 1, 1, 1))
    name = f"haar.{x.channels}"
    by_channel = graph.convolution(x, (name, weight), None, stride=2, groups=x.channels, padding=0)
    order = np.arange(4 * x.channels).reshape(-1, 4).T.ravel()
    y = graph.node("Gather", by_channel.name, graph.constant(f"{name}.order", order, np.int64), axis=1)
    return (Maps(y, by_channel.channels, by_channel.height, by_channel.width),
            values_per_image(x) * math.log(REBALANCE))


def dct_matrix(size, flavour):
    """A [size, size] of Y = A X A^T."""
    k = np.arange(size)
    basis = 2 * np.cos(math.pi * np.outer(k, 2 * k + 1) / (2 * size))
    if flavour == "orthonormal":
        return basis / np.linalg.norm(basis, axis=1, keepdims=True)
    return basis * math.sqrt(REBALANCE / (2 * (size + 1)))


def dct_log_det(size, channels, flavour, reported):
    """ln|det| of an image in nats; `reported`: that of the published losses, which is not the true one."""
    if flavour == "orthonormal":
        return 0.0
    if reported:
        return channels * size**2 * math.log(REBALANCE)
    return channels * (size**2 * math.log(REBALANCE * size / (size + 1)) + size * math.log(2))


def dct_pooling(graph, x, flavour):
    """Vectors [N, D] of maps: horizontal frequency slowest, channel fastest."""
    matrix = graph.constant("dct", dct_matrix(x.height, flavour).T)
    columns = graph.node("Transpose", graph.node("MatMul", x.name, matrix), perm=[0, 3, 1, 2])
    both = graph.node("Transpose", graph.node("MatMul", columns, matrix), perm=[0, 1, 3, 2])
    return graph.node("Reshape", both, graph.integers(0, values_per_image(x)))
