#!/usr/bin/env python3
"""Captum's infidelity of three explanations of why an image is of its class rather than of the next
one: evidence maps, the gradient, and integrated gradients. It is the mean squared error with which an
explanation predicts how a small patch of noise changes l_a - l_b; the lower the better."""

import sys

import torch
from captum.attr import IntegratedGradients, Saliency
from captum.metrics import infidelity
from fashion import MODEL, test_images

import palindrome
from palindrome.torch import Module

images, _ = test_images(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
with palindrome.load(MODEL) as model:
    network = Module(model)
    first, second = network(x).topk(2, dim=1).indices.T

    def lead(images, first, second):
        """l_a - l_b, of repeated images too."""
        scores = network(images)
        return (scores.gather(1, first[:, None]) - scores.gather(1, second[:, None]))[:, 0]

    def noise(images):
        """Perturbations and what they make of images, within [0, 1]."""
        mask = torch.zeros_like(images)
        for each in mask:
            row, column = torch.randint(0, 22, (2,))
            each[:, row : row + 7, column : column + 7] = 1
        changed = (images + 0.05 * mask * torch.randn_like(images)).clamp(0, 1)
        return images - changed, changed

    # A position's evidence, spread evenly over the pixels that it stands for.
    maps = torch.from_numpy(model.evidence(x, first, second)).float()[:, None]
    spread = torch.nn.functional.interpolate(maps, size=28) * (maps.shape[-1] / 28) ** 2
    explanations = {
        "evidence": spread,
        "gradient": Saliency(lead).attribute(x, abs=False, additional_forward_args=(first, second)),
        "integrated gradients": IntegratedGradients(lead, multiply_by_inputs=False).attribute(
            x, n_steps=20, additional_forward_args=(first, second)
        ),
        "nothing": torch.zeros_like(x),
    }
    for name, attributions in explanations.items():
        torch.manual_seed(1)
        arguments = {"additional_forward_args": (first, second), "normalize": True, "n_perturb_samples": 50}
        error = infidelity(lead, noise, x, attributions, max_examples_per_batch=500, **arguments)
        print(f"{name:22} infidelity {error.mean():10.4f} squared nats")
