#!/usr/bin/env python3
"""AutoAttack's APGD, as torchattacks has it, on a generative classifier: accuracy under attack by both
of its losses, and whether the density would notice."""

import sys

import torch
import torchattacks
from fashion import MODEL, test_images

import palindrome
from palindrome.torch import Module

images, labels = test_images(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
y = torch.from_numpy(labels)
with palindrome.load(MODEL) as model:
    network = Module(model).eval()
    clean = model.log_prob(x)
    accuracy = (network(x).argmax(dim=1) == y).float().mean()
    print(f"as they are             accuracy {100 * accuracy:5.1f} %")
    for eps in (0.5 / 255, 1 / 255, 2 / 255):
        for loss in ("ce", "dlr"):
            attack = torchattacks.APGD(network, norm="Linf", eps=eps, steps=20, loss=loss)
            attacked = attack(x, y).detach()
            assert (attacked - x).abs().max() <= eps + 1e-6
            accuracy = (network(attacked).argmax(dim=1) == y).float().mean()
            change = (model.log_prob(attacked) - clean).mean()
            print(
                f"eps {255 * eps:3.1f} / 255 by {loss:4}   accuracy {100 * accuracy:5.1f} %   "
                f"ln q(x) changes by {change:7.1f} nats"
            )
