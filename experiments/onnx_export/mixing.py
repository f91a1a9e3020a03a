"""Act norm and channel mixing at the end of a coupling (layers/models/README.md, 1)."""
import numpy as np

from .errors import NumericsError
from .graph import Maps


def act_norm_factors(tensors, prefix, channels, kind):
    """Scale and offset per channel, in double."""
    gamma = tensors.take(f"{prefix}act_norm", [channels]).astype(np.float64)
    with np.errstate(over="ignore"):
        if kind == "softplus":
            scale = 0.2 * np.logaddexp(0, 0.5 * gamma)
        elif kind == "paper":
            scale = 0.1 * np.logaddexp(0, gamma)
        elif kind == "sigmoid":
            scale = 10 / (1 + np.exp(2 - gamma))
        else:
            scale = np.exp(gamma)
        stored = scale.astype(np.float32)
    if not np.all((stored > 0) & np.isfinite(stored)):
        raise NumericsError(f"{tensors.path}: model.{prefix}act_norm: a scale is not positive and finite")
    return scale, tensors.take(f"{prefix}act_offset", [channels])


def _householder(tensors, prefix, channels, count):
    """W0 H1 H2 ... Hk."""
    vectors = tensors.take(f"{prefix}vk_householder", [count, channels]).astype(np.float64)
    w = tensors.take(f"{prefix}w_0", [channels, channels]).astype(np.float64)
    for number, v in enumerate(vectors):
        square = v @ v
        if not (square > 0 and np.isfinite(square)):
            raise NumericsError(f"{tensors.path}: model.{prefix}vk_householder: vector {number} is zero or not finite")
        w = w - np.outer(w @ v, 2 / square * v)
    return w


def _plu(tensors, prefix, channels):
    """(P L U, ln|det| of a pixel): row i is row w_index[i] of L U."""
    lower, upper = (tensors.take(f"{prefix}w_{which}", [channels, channels]).astype(np.float64)
                    for which in ("lower", "upper"))
    diagonal = np.abs(np.diag(upper))
    if not np.all((diagonal > 0) & np.isfinite(diagonal)):
        raise NumericsError(f"{tensors.path}: model.{prefix}w_upper: its diagonal cannot be inverted")
    product = (np.tril(lower, -1) + np.eye(channels)) @ np.triu(upper)
    return product[tensors.take_order(f"{prefix}w_index", channels)], np.log(diagonal).sum()


class Mixing:
    """W of one block: an index map, a matrix, or (mixing none) nothing."""

    def __init__(self, tensors, prefix, channels, config):
        self.name = f"{prefix}w"
        self.order = self.matrix = None
        self.log_det = 0.0  # of a pixel
        kind = config["mixing"]
        if kind == "swap":
            self.order = (np.arange(channels) + channels // 2) % channels
        elif kind == "permutation":
            self.order = tensors.take_order(f"{prefix}w_index", channels)
        elif kind == "orthogonal":
            self.matrix = tensors.take(self.name, [channels, channels])
        elif kind == "householder":
            self.matrix = _householder(tensors, prefix, channels, config["reflections"])
        elif kind == "conv1x1":
            self.matrix, self.log_det = _plu(tensors, prefix, channels)

    def run(self, graph, x, inverse=False):
        """W x, or W^-1 x of a fixed mixing, for each pixel."""
        if self.order is not None:
            order = np.argsort(self.order) if inverse else self.order
            name = f"{self.name}_index" + ("_inverse" if inverse else "")
            y = graph.node("Gather", x.name, graph.constant(name, order, np.int64), axis=1)
            return Maps(y, x.channels, x.height, x.width)
        if self.matrix is not None:
            matrix, name = (self.matrix.T, f"{self.name}_inverse") if inverse else (self.matrix, self.name)
            return graph.convolution(x, (name, matrix[:, :, None, None]), None)
        return x
