"""A model as a torch.nn.Module, for tools that differentiate by images: attacks, attributions, outlier
scores. PyTorch is imported here alone."""

from __future__ import annotations

import torch
from torch.autograd.function import once_differentiable

from .model import Model


class _Answers(torch.autograd.Function):
    """(scores, log_prob) of images [n, c, h, w]; the backward pass is the engine's vjp."""

    @staticmethod
    def forward(ctx, x, model):
        ctx.save_for_backward(x)
        ctx.model = model
        pixels = x.detach().cpu()
        if model.has_density:
            answers = model.scores_and_log_prob(pixels, "nchw")
        else:
            answers = model.scores(pixels, "nchw"), [0.0] * len(pixels)
        return tuple(torch.as_tensor(each).to(x) for each in answers)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_scores, grad_log_prob):
        (x,) = ctx.saved_tensors
        grad_scores = grad_scores.detach().cpu()
        grad_log_prob = grad_log_prob.detach().cpu() if ctx.model.has_density else None
        grad = ctx.model.vjp(x.detach().cpu(), grad_scores, grad_log_prob, "nchw")
        return torch.as_tensor(grad).to(x), None


class Module(torch.nn.Module):
    """Images [n, c, h, w] with pixels in [0, 1] to class scores [n, classes], of the images' dtype and
    device; the engine computes on the model's own device, in float32. First derivatives by images
    alone: the weights are no parameters and do not learn."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        # Tools ask the first parameter for the device.
        self.device_anchor = torch.nn.Parameter(torch.empty(0), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Answers.apply(x, self.model)[0]

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """ln q(x) [n], nats, of pixels in [0, 1]."""
        return self.scores_and_log_prob(x)[1]

    def scores_and_log_prob(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both of one pass."""
        self.model._expect_density("log_prob")
        return _Answers.apply(x, self.model)
