#!/usr/bin/env python3
"""Makes the golden files of small residual networks, from PyTorch in double.

Usage: make_golden.py FOLDER   (needs numpy and torch)

Format and tolerances are those of tests/golden/README.md. The modules are named as in torchvision, so that a
state dictionary gives the names of tensors in checkpoints.
"""

import json
import pathlib
import struct
import sys

import numpy as np
import torch
from torch import nn


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """A bottleneck of version 1.5 (stride on the 3x3), or two 3x3 convolutions."""

    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        self.conv1 = conv(inputs, width, 1) if bottleneck else conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride if bottleneck else 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = None
        if bottleneck:
            self.conv3 = conv(width, outputs, 1)
            self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.conv3 is not None:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.with_pool = config["entry"] == "entry"
        features = config["entry-width"]
        self.conv1 = conv(config["channels"], features, 7 if self.with_pool else 3, 2)
        self.bn1 = nn.BatchNorm2d(features)
        self.stages = []
        bottleneck = config["subnet"] == "bottleneck"
        for i, (blocks, stride, width) in enumerate(zip(config["blocks"], config["strides"], config["widths"])):
            stage = nn.Sequential()
            for k in range(blocks):
                stage.append(Block(features, width, stride if k == 0 else 1, bottleneck))
                features = 4 * width if bottleneck else width
            setattr(self, f"layer{i + 1}", stage)
            self.stages.append(f"layer{i + 1}")
        self.fc = nn.Linear(features, config["classes"])

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        if self.with_pool:
            x = nn.functional.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.fc(x.mean((2, 3)))


def state_of(model):
    return {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}


def results(config, state, x, targets, dtype):
    """Everything a test compares, by name: evaluation first, then one training pass."""
    model = ResNet(config).to(dtype)
    model.load_state_dict(state, strict=False)
    x = x.to(dtype).clone().requires_grad_()
    model.eval()
    found = {"logits_eval": model(x)}
    model.train()
    logits = model(x)
    loss = -(targets.to(dtype) * torch.log_softmax(logits, 1)).sum(1)
    loss.mean().backward()
    found |= {"logits_train": logits, "loss_ce": loss, "grad.x": x.grad}
    found |= {"grad." + n: p.grad for n, p in model.named_parameters()}
    found |= {"after." + n: t for n, t in state_of(model).items() if "running_" in n}
    return {n: t.detach().double().numpy() for n, t in found.items()}


def group_of(name):
    """Gradients are compared module by module."""
    return ".".join(name.split(".")[: 2 if name.startswith("grad.") else 1])


def write(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, values in tensors.items():
        size = 4 * values.size
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(v.astype("<f4").tobytes() for v in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def make(path, config, batch, seed):
    torch.manual_seed(seed)
    model = ResNet(config)
    state = state_of(model)
    for name, tensor in state.items():
        # Nothing is special: every number around its start is drawn.
        if "running_mean" in name or (name.endswith("bias") and "fc" not in name):
            tensor.normal_(0.0, 0.3)
        elif "running_var" in name or ("weight" in name and tensor.dim() == 1):
            tensor.uniform_(0.5, 1.5)
    size = config["image-size"]
    x = torch.randn(batch, config["channels"], size, size)
    labels = torch.arange(batch) % config["classes"]
    targets = 0.9 * nn.functional.one_hot(labels, config["classes"]) + 0.1 / config["classes"]
    targets = targets.float()
    wide = results(config, state, x, targets, torch.float64)
    narrow = results(config, state, x, targets, torch.float32)
    errors = {}
    for group in {group_of(n) for n in wide}:
        members = [n for n in wide if group_of(n) == group]
        largest = max(np.abs(wide[n]).max() for n in members)
        errors[group] = max(np.abs(wide[n] - narrow[n]).max() for n in members) / largest
    tensors = {"x": x.numpy(), "targets": targets.numpy()}
    tensors |= {"state." + n: t.numpy() for n, t in state.items()} | wide
    metadata = {"config": json.dumps(config), "float32_reference_max_error_over_max_value": json.dumps(errors)}
    write(path, tensors, metadata)
    print(path, path.stat().st_size, "bytes", {k: f"{v:.1e}" for k, v in errors.items()})


def main():
    folder = pathlib.Path(sys.argv[1])
    common = {"arch": "golden", "family": "resnet", "channels": 3, "classes": 5}
    bottleneck = {"entry": "entry", "entry-width": 6, "subnet": "bottleneck", "image-size": 33,
                  "blocks": [2, 1, 1, 1], "strides": [1, 2, 2, 2], "widths": [3, 4, 5, 6]}
    basic = {"entry": "haar", "entry-width": 5, "subnet": "basic", "image-size": 18,
             "blocks": [2, 2], "strides": [1, 2], "widths": [5, 8]}
    make(folder / "resnet_bottleneck.safetensors", common | bottleneck, 4, 1)
    make(folder / "resnet_basic.safetensors", common | basic, 4, 2)


main()
