"""The flow of a checkpoint in PyTorch, to evaluate it or to build upon it.

    tensors, info = read_checkpoint("run/checkpoints/best")
    flow = Flow(tensors, info["configuration"])
    z, log_det = flow.latent(x)                 # x [n, c, h, w], normalised
    probabilities = flow.scores(z).softmax(1)   # [n, classes]

The formulas and their sections are those of layers/models/README.md. What is not written out here is
refused. experiments/README.md has an example with pictures, and the table of tensors.
"""

import json
import os
import math

import torch
import torch.nn.functional as F
from safetensors import safe_open

WRITTEN_OUT = {"family": "flow", "mixing": "permutation", "act-norm": "softplus", "dct": "reference",
               "welling": False, "gin": False}


def read_checkpoint(path):
    """The network's tensors by name, without `model.`, and the metadata, decoded where JSON. A run
    folder stands for its best checkpoint."""
    if os.path.isdir(path):
        path = os.path.join(path, "checkpoints", "best")
    with safe_open(path, "pt") as file:
        tensors = {name.removeprefix("model."): file.get_tensor(name)
                   for name in file.keys() if name.startswith("model.")}
        info = file.metadata()
    for key in ("configuration", "class_names", "mean", "std"):
        info[key] = json.loads(info[key])
    return tensors, info


class Flow:
    """A flow with the running statistics of its batch norms."""

    def __init__(self, tensors, config):
        for key, value in WRITTEN_OUT.items():
            if config[key] != value:
                raise NotImplementedError(f"{key} = {config[key]}: only {value} is written out here")
        self.config = config
        self.tree = {}  # blocks.2.s.0.weight is tree["blocks"]["2"]["s"]["0"]["weight"]
        for name, tensor in tensors.items():
            *folders, last = name.split(".")
            branch = self.tree
            for folder in folders:
                branch = branch.setdefault(folder, {})
            branch[last] = tensor

    def latent(self, x):
        """z [n, D] and ln|det dz/dx| [n], in nats, of normalised images x [n, c, h, w] (section 6)."""
        haar_at, entry_blocks = (2, 3) if self.config["entry"] == "entry" else (1, 1)
        last = entry_blocks + sum(self.config["blocks"])
        total = torch.zeros(len(x), dtype=torch.float64)
        for number in range(1, last + 1):
            block = self.tree["blocks"].get(str(number))
            x, log_det = haar(x) if number == haar_at else self.coupling(block, x)
            total += log_det
        z, log_det = dct_pooling(x)
        total += log_det
        if self.config["latent-norm"]:
            z, log_det = act_norm(self.tree["blocks"][str(last + 2)], z)
            total += log_det
        return z, total

    def scores(self, z):
        """The class scores l_y [n, classes] of latent vectors: softmax gives the posterior (7)."""
        means = self.tree["mu_mean"]
        if self.config["rank"] > 0:
            means = torch.cat([means, self.tree["mu_alpha"] @ self.tree["mu_prototypes"]], 1)
        if self.config["head-permutation"]:
            order = self.tree["head_permutation"].long()
            z = torch.cat([z[:, order], z[:, len(order):]], 1)
        return z @ means.T - means.square().sum(1) / 2

    def coupling(self, block, x):
        """One coupling block; the names of its subnets tell which kind (1 to 3)."""
        clamp, less = self.config["clamp"], x.shape[1] // 2
        if "s" in block:
            x1, x2 = x.tensor_split([x.shape[1] - less], 1)
            y1 = x1
            y2, log_det = affine(x2, subnet(block["s"], x1), clamp, 0.1, 0.1)
        else:
            halves = "s_hi" in block
            first, second = ("s_hi", "s_lo") if halves else ("s1", "s2")
            lower = (lambda half: F.pixel_unshuffle(half, 2)) if halves else (lambda half: half)
            x1, x2 = x.tensor_split([x.shape[1] - less if halves else less], 1)
            factors = subnet(block[first], x1, stride=2 if halves else 1)
            y2, log_det2 = affine(lower(x2), factors, clamp, 0.2, 1.0)
            y1, log_det1 = affine(lower(x1), subnet(block[second], y2), clamp, 0.2, 1.0)
            log_det = log_det1 + log_det2
        y, scaled = act_norm(block, torch.cat([y1, y2], 1))
        return y[:, block["w_index"].long()], log_det + scaled


def affine(x, factors, clamp, s_gain, t_gain):
    s, t = factors.chunk(2, 1)
    log_s = clamp * torch.tanh(s_gain * s)
    return x * log_s.exp() + t_gain * t, log_s.double().sum((1, 2, 3))


def act_norm(block, x):
    """Per channel of maps [n, c, h, w], or per dimension of vectors [n, d]."""
    shape = [-1] + [1] * (x.dim() - 2)
    scale = 0.1 * F.softplus(block["act_norm"].double(), beta=0.5)
    y = x * scale.float().view(shape) + block["act_offset"].view(shape)
    return y, scale.log().sum() * math.prod(x.shape[2:])


def subnet(layers, x, stride=1):
    """Layers by position: those without tensors are ReLUs, the last wide convolution strides (5)."""
    wide = [int(at) for at, layer in layers.items() if layer["weight"].shape[2:] > (1, 1)]
    for at in range(1 + max(map(int, layers))):
        layer = layers.get(str(at))
        if layer is None:
            x = F.relu(x)
        elif "running_mean" in layer:
            x = F.batch_norm(x, **layer)
        else:
            padding = layer["weight"].shape[-1] // 2
            x = F.conv2d(x, **layer, stride=stride if wide and at == max(wide) else 1,
                         padding=padding)
    return x


def haar(x):
    """[n, c, h, w] to [n, 4c, h/2, w/2], ordered by wavelet (4)."""
    a, b, c, d = F.pixel_unshuffle(x, 2).unflatten(1, (-1, 4)).unbind(2)
    y = torch.cat([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], 1) / 4
    return y, math.log(0.5) * x[0].numel()


def dct_pooling(x):
    """[n, c, N, N] to vectors: horizontal frequency slowest, channel fastest (4)."""
    channels, size = x.shape[1:3]
    k = torch.arange(size, dtype=torch.float64)
    a = (torch.cos(math.pi / (2 * size) * k[:, None] * (2 * k + 1)) / math.sqrt(size + 1)).float()
    z = torch.einsum("kh,nchw,lw->nlkc", a, x, a).flatten(1)
    log_scale = math.log(0.5 * size / (size + 1))
    return z, channels * (size * size * log_scale + size * math.log(2))
