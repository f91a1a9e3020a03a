"""ibinn-imagenet in PyTorch, written for speed: what bench/steps/torch_step.py times.

The reference flavour of the network (one-sided couplings, bottleneck subnets, hard permutations,
low-rank class means). Images are NCHW in channels_last memory; permutations gather instead of
multiplying by matrices of zeros and ones; class means are never spelled out.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

CLAMP = 0.7
REBALANCE = 0.5  # of the Haar transform
BLOCKS = (3, 4, 6, 3)
STRIDES = (1, 2, 2, 2)
WIDTHS = (64, 128, 256, 512)
PARAMETERS_NETWORK = 55_412_304
PARAMETERS_TOTAL = 77_486_672  # with the class means, at 224


def channels_last(x):
    """[n, h, w, c], contiguous, seen as a channels_last [n, c, h, w]."""
    return x.permute(0, 3, 1, 2)


def rows(x):
    """The other way: [n, h, w, c] of a channels_last tensor, without a copy."""
    return x.permute(0, 2, 3, 1)


class Gather(torch.autograd.Function):
    """x[..., index]; backward gathers too, where autograd's own would scatter with atomics."""

    @staticmethod
    def forward(ctx, x, index, inverse):
        ctx.save_for_backward(inverse)
        return x.index_select(-1, index)

    @staticmethod
    def backward(ctx, grad):
        (inverse,) = ctx.saved_tensors
        return grad.contiguous().index_select(-1, inverse), None, None


class Permutation(nn.Module):
    """A fixed random permutation of the last extent."""

    def __init__(self, size):
        super().__init__()
        index = torch.randperm(size)
        self.register_buffer("index", index)
        self.register_buffer("inverse", torch.argsort(index))

    def forward(self, x):
        return Gather.apply(x, self.index, self.inverse)


def conv(c_in, c_out, kernel=1, stride=1, bias=False):
    layer = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def norm_relu(channels):
    return [nn.BatchNorm2d(channels, momentum=0.05), nn.ReLU(inplace=True)]


def bottleneck(c_in, c_out, width, stride=1):
    return nn.Sequential(
        *norm_relu(c_in), conv(c_in, width),
        *norm_relu(width), conv(width, width, 3, stride),
        *norm_relu(width), conv(width, 4 * width),
        *norm_relu(4 * width), conv(4 * width, c_out, bias=True))


def entry_strided(c_in, c_out, width=64):
    return nn.Sequential(
        conv(c_in, width, 3), *norm_relu(width), conv(width, width, 3, 2),
        *norm_relu(width), conv(width, c_out, bias=True))


def entry_low_res(c_in, c_out, width=64):
    return nn.Sequential(conv(c_in, width, 3), *norm_relu(width), conv(width, c_out))


def pointwise(c_in, c_out, width):
    return nn.Sequential(
        conv(c_in, width, bias=True), nn.ReLU(inplace=True), conv(width, c_out, bias=True))


def affine(x, coefficients, s_gain, t_gain):
    """y and the sum of log_s of each image. The stream stays float32."""
    s, t = coefficients.float().chunk(2, 1)
    log_s = CLAMP * torch.tanh(s_gain * s)
    return torch.addcmul(t_gain * t, x, torch.exp(log_s)), log_s.sum((1, 2, 3))


class Coupling(nn.Module):
    """What slow and downsampling blocks share: act norm, then a hard permutation."""

    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), 10 * 0.7))
        self.offset = nn.Parameter(torch.zeros(channels))
        self.mixing = Permutation(channels)

    def finish(self, first, second):
        scale = 0.1 * F.softplus(self.gamma, beta=0.5)
        y = torch.addcmul(self.offset, rows(torch.cat((first, second), 1)), scale)
        log_det = first.shape[2] * first.shape[3] * torch.log(scale).sum()
        return channels_last(self.mixing(y)), log_det


class SlowCoupling(Coupling):
    def __init__(self, channels, make_subnet):
        super().__init__(channels)
        self.sizes = (channels - channels // 2, channels // 2)
        self.subnet = make_subnet(self.sizes[0], 2 * self.sizes[1])

    def forward(self, x):
        passive, active = x.split(self.sizes, 1)
        active, log_s = affine(active, self.subnet(passive), 0.1, 0.1)
        y, log_det = self.finish(passive, active)
        return y, log_det + log_s


def squeeze(x):
    """Output channel 4 c + 2 dy + dx at (i, j) is channel c at (2 i + dy, 2 j + dx)."""
    x = rows(x)
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 5, 2, 4)
    return channels_last(x.reshape(n, h // 2, w // 2, 4 * c))


class DownsamplingCoupling(Coupling):
    def __init__(self, channels, make_strided, make_low_res):
        super().__init__(4 * channels)
        first, second = self.sizes = (channels - channels // 2, channels // 2)
        self.strided = make_strided(first, 8 * second)
        self.low_res = make_low_res(4 * second, 8 * first)

    def forward(self, x):
        x1, x2 = x.split(self.sizes, 1)
        y2, log_s2 = affine(squeeze(x2), self.strided(x1), 0.2, 1.0)
        y1, log_s1 = affine(squeeze(x1), self.low_res(y2), 0.2, 1.0)
        y, log_det = self.finish(y1, y2)
        return y, log_det + log_s1 + log_s2


class Haar(nn.Module):
    """Outputs ordered by wavelet."""

    def forward(self, x):
        a, b = x[:, :, ::2, ::2], x[:, :, ::2, 1::2]
        c, d = x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
        top, bottom, left, right = a + b, c + d, a - b, c - d
        y = torch.cat((top + bottom, left + right, top - bottom, left - right), 1)
        log_det = math.log(REBALANCE) * x.shape[1] * x.shape[2] * x.shape[3]
        return 0.5 * REBALANCE * y, y.new_full((x.shape[0],), log_det)


class DctPooling(nn.Module):
    """Both 7x7 products of a map as one with its 49 pixels; horizontal frequency slowest."""

    def __init__(self, size, channels):
        super().__init__()
        k = torch.arange(size, dtype=torch.float64)
        basis = 2 * torch.cos(math.pi * k[:, None] * (2 * k + 1) / (2 * size))
        both = torch.einsum("kh,lw->lkhw", basis, basis) / (4 * (size + 1))
        self.register_buffer("matrix", both.reshape(size * size, size * size).float())
        n = size
        self.log_det = channels * (n * n * math.log(0.5 * n / (n + 1)) + n * math.log(2))

    def forward(self, x):
        x = rows(x)
        return torch.matmul(self.matrix, x.reshape(x.shape[0], -1, x.shape[3])).flatten(1)


class MixtureHead(nn.Module):
    """Low-rank class means and the information-bottleneck loss."""

    def __init__(self, dims, mean_dims, classes, rank, mu_init=3.5):
        super().__init__()
        copies = mean_dims // classes
        mean = torch.zeros(classes, mean_dims)
        mean[:, : copies * classes] = (mu_init / math.sqrt(2 * copies)
                                       * torch.eye(classes).repeat(1, copies))
        self.mean = nn.Parameter(mean)
        self.alpha = nn.Parameter(0.01 * torch.randn(classes, rank))
        self.prototypes = nn.Parameter(0.01 * torch.randn(rank, dims - mean_dims))
        self.permutation = Permutation(mean_dims)
        self.sizes = (mean_dims, dims - mean_dims)

    def forward(self, z, log_det, labels, beta):
        z_mean, z_rest = z.split(self.sizes, 1)
        gram = self.prototypes @ self.prototypes.t()
        half_norms = 0.5 * (self.mean.square().sum(1)
                            + ((self.alpha @ gram) * self.alpha).sum(1))
        scores = torch.addmm(-half_norms, self.permutation(z_mean), self.mean.t())
        scores = torch.addmm(scores, z_rest @ self.prototypes.t(), self.alpha.t())
        evidence = torch.logsumexp(scores, 1)
        nll = (0.5 * z.square().sum(1) - evidence - log_det) / z.shape[1]
        cross_entropy = F.cross_entropy(scores, labels)
        return (nll.mean() + beta * cross_entropy) / (1 + beta)


class IbInn(nn.Module):
    """forward(images, labels) is the training loss at beta 1."""

    def __init__(self, image_size=224, classes=1000, rank=128, checkpointed=False, blocks=BLOCKS,
                 strides=STRIDES, widths=WIDTHS, entry_width=64):
        super().__init__()
        self.checkpointed = checkpointed
        self.blocks = nn.ModuleList(
            [DownsamplingCoupling(3, lambda i, o: entry_strided(i, o, entry_width),
                                  lambda i, o: entry_low_res(i, o, entry_width)), Haar(),
             SlowCoupling(48, lambda i, o: pointwise(i, o, 48))])
        channels, size = 48, image_size // 4
        for count, stride, width in zip(blocks, strides, widths):
            for block in range(count):
                self.blocks.append(self.stage_block(channels, width, block == 0 and stride == 2))
                if block == 0 and stride == 2:
                    channels, size = 4 * channels, size // 2
        self.pool = DctPooling(size, channels)
        self.head = MixtureHead(3 * image_size**2, channels, classes, rank)
        if (blocks, strides, widths, entry_width) == (BLOCKS, STRIDES, WIDTHS, 64):
            self.check(image_size, classes, rank)

    @staticmethod
    def stage_block(channels, width, halves):
        if not halves:
            return SlowCoupling(channels, lambda i, o: bottleneck(i, o, width))
        return DownsamplingCoupling(channels, lambda i, o: bottleneck(i, o, width, 2),
                                    lambda i, o: bottleneck(i, o, width))

    def network_parameters(self):
        return list(self.blocks.parameters())

    def check(self, image_size, classes, rank):
        network = sum(p.numel() for p in self.network_parameters())
        assert network == PARAMETERS_NETWORK, network
        if (image_size, classes, rank) == (224, 1000, 128):
            total = sum(p.numel() for p in self.parameters())
            assert total == PARAMETERS_TOTAL, total

    def forward(self, images, labels, beta=1.0):
        x, log_det = images, self.pool.log_det
        for block in self.blocks:
            if self.checkpointed:
                x, more = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x, more = block(x)
            log_det = log_det + more
        with torch.autocast(images.device.type, enabled=False):
            return self.head(self.pool(x), log_det, labels, beta)


# What is written out here, of the fields of a configuration.
WRITTEN_OUT = {"arch": "ibinn-imagenet", "entry": "entry", "entry-7x7": False, "subnet": "bottleneck",
               "coupling": "slow", "mixing": "permutation", "welling": False, "gin": False,
               "clamp": CLAMP, "act-norm": "softplus", "dct": "reference", "latent-norm": False,
               "head-permutation": True}
SUBNETS = {"s": "subnet", "s_hi": "strided", "s_lo": "low_res"}
PLACES = {"act_norm": "gamma", "act_offset": "offset", "w_index": "mixing.index"}
HEAD = {"mu_mean": "head.mean", "mu_alpha": "head.alpha", "mu_prototypes": "head.prototypes",
        "head_permutation": "head.permutation.index"}


def module_name(name):
    """The name here of a tensor of a checkpoint (experiments/README.md)."""
    name = name.removeprefix("model.")
    if name in HEAD:
        return HEAD[name]
    _, number, part, *rest = name.split(".")
    place = ".".join((SUBNETS[part], *rest)) if part in SUBNETS else PLACES[part]
    return f"blocks.{int(number) - 1}.{place}"


def load_network(configuration, tensors):
    """The network of a checkpoint. Raises NotImplementedError for what is not written out here."""
    for key, value in WRITTEN_OUT.items():
        if configuration[key] != value:
            raise NotImplementedError(f"{key} = {configuration[key]}: only {value} is written out here")
    model = IbInn(configuration["image-size"], configuration["classes"], configuration["rank"],
                  blocks=tuple(configuration["blocks"]), strides=tuple(configuration["strides"]),
                  widths=tuple(configuration["widths"]), entry_width=configuration["entry-width"])
    state = model.state_dict()
    for name, tensor in tensors.items():
        if name.startswith("model."):
            place = state.pop(module_name(name))
            place.copy_(tensor.reshape(place.shape))
    for name in list(state):
        index = name.removesuffix("inverse") + "index"
        if name.endswith(".inverse"):
            state.pop(name).copy_(torch.argsort(model.get_buffer(index)))
    left = [name for name in state if not name.endswith(("num_batches_tracked", "pool.matrix"))]
    if left:
        raise NotImplementedError(f"{left[0]} is not in the file")
    return model
