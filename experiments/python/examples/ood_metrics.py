#!/usr/bin/env python3
"""How well ln q(x) tells foreign images, by pytorch-ood's metrics: clothes against the same pictures
upside down, and inverted. pal-ood prints the same numbers, as AUC and FPR95 foreign+:

    pal-ood experiments/results/fashion-beta1.safetensors --dataset fashion-mnist \\
        --against vflip inverted --scores one-tailed
"""

import sys

import torch
from fashion import MODEL, test_images
from pytorch_ood.metrics import AUROC, FPRAtTPR

import palindrome

images, _ = test_images(int(sys.argv[1]) if len(sys.argv) > 1 else 10000)
foreign = {"vflip": images[:, ::-1], "inverted": 255 - images}
with palindrome.load(MODEL) as model:
    # An outlier score is the higher the stranger an image is.
    own = torch.from_numpy(-model.log_prob(images))
    for name, others in foreign.items():
        scores = torch.cat([own, torch.from_numpy(-model.log_prob(others))])
        labels = torch.cat([torch.zeros(len(images)), -torch.ones(len(others))]).long()
        for metric in (AUROC(), FPRAtTPR()):
            (result,) = metric.update(scores, labels).compute().items()
            print(f"{name:10} {result[0]:12} {100 * result[1]:6.2f} %")
