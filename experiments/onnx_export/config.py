"""The fields that define a network: those of layers/models/config.h, with its defaults."""
from .errors import DataError

FIELDS = {
    "arch": "ibinn-mnist",
    "family": ("flow", "resnet"),
    "image-size": 28,
    "channels": 1,
    "classes": 10,
    "entry": ("haar", "entry", "cifar"),
    "entry-7x7": False,
    "entry-width": 64,
    "blocks": [4, 4],
    "strides": [1, 2],
    "widths": [32, 64],
    "subnet": ("bottleneck", "basic"),
    "coupling": ("slow", "glow"),
    "mixing": ("permutation", "none", "swap", "orthogonal", "householder", "conv1x1"),
    "reflections": 3,
    "welling": False,
    "gin": False,
    "clamp": 0.7,
    "act-norm": ("softplus", "paper", "sigmoid", "exp"),
    "act-norm-init": 1.0,
    "subnet-gain": 0.1,
    "dct": ("reference", "orthonormal"),
    "dct-reported": False,
    "latent-norm": True,
    "rank": 0,
    "mu-init": 3.5,
    "head-permutation": False,
    "compute": ("fp32", "bf16"),
}
"""Defaults; of a field that is one of several words all of them, the default first."""


def _is_whole(value):
    return type(value) is int and value >= 0


def _fits(value, default):
    if isinstance(default, tuple):
        return value in default
    if isinstance(default, list):
        return isinstance(value, list) and 1 <= len(value) <= 8 and all(map(_is_whole, value))
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return _is_whole(value)
    if isinstance(default, float):
        return type(value) in (int, float)
    return isinstance(value, str)


def halvings(config):
    """How often a flow halves the image."""
    return (2 if config["entry"] == "entry" else 1) + config["strides"].count(2)


def configuration_of(recorded, path):
    """All fields of a network, from those that a checkpoint records. What no engine would build is refused."""
    def refuse(text):
        raise DataError(f"{path}: configuration: {text}")

    if not isinstance(recorded, dict):
        refuse("expected a JSON object")
    config = {key: default[0] if isinstance(default, tuple) else default for key, default in FIELDS.items()}
    for key, value in recorded.items():
        if key not in FIELDS:
            refuse(f"unknown key '{key}'; a newer version may know it")
        if not _fits(value, FIELDS[key]):
            refuse(f"{key}: unexpected value {value!r:.60}")
        config[key] = value
    if not len(config["blocks"]) == len(config["strides"]) == len(config["widths"]):
        refuse("blocks, strides, widths: expected as many numbers of each")
    if min(config["image-size"], config["channels"], config["classes"], *config["strides"]) < 1:
        refuse("sizes begin at 1")
    if config["family"] == "resnet":
        return config
    if config["entry"] == "cifar":
        refuse("entry: cifar is the stem of a ResNet; a flow has entry or haar")
    if config["image-size"] % (1 << halvings(config)):
        refuse(f"image-size: {config['image-size']} cannot be halved {halvings(config)} times")
    if config["welling"] and config["mixing"] in ("householder", "conv1x1"):
        refuse("welling: expected a fixed mixing")
    return config
