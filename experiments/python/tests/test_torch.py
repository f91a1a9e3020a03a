"""palindrome.torch: what tools of PyTorch see."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import palindrome  # noqa: E402
from palindrome.torch import Module  # noqa: E402


@pytest.fixture(scope="module")
def module(model):
    return Module(model).eval()


@pytest.fixture
def x(model):
    images = model.sample(2, 4, 0.5, seed=1, layout="nchw").clip(0.05, 0.95)
    return torch.from_numpy(np.ascontiguousarray(images)).requires_grad_()


def test_answers_are_those_of_the_model(model, module, x):
    scores, log_prob = module.scores_and_log_prob(x)
    assert scores.shape == (4, 10) and scores.dtype == torch.float32 and scores.requires_grad
    wanted = model.scores_and_log_prob(x.detach())
    np.testing.assert_array_equal(scores.detach().numpy(), wanted[0].astype(np.float32))
    np.testing.assert_array_equal(log_prob.detach().numpy(), wanted[1].astype(np.float32))
    assert torch.equal(module(x), scores) and torch.equal(module.log_prob(x), log_prob)
    assert module(x.detach().double()).dtype == torch.float64
    with torch.no_grad():
        assert not module(x).requires_grad


def test_gradients_are_vector_jacobian_products(model, module, x):
    y = torch.tensor([2, 0, 5, 2])
    loss = torch.nn.functional.cross_entropy(module(x), y, reduction="sum")
    (grad,) = torch.autograd.grad(loss, x)
    posterior = model.posterior(x.detach())
    wanted = model.vjp(x.detach(), posterior - np.eye(10)[y])
    assert grad.shape == x.shape
    np.testing.assert_allclose(grad.numpy(), wanted, rtol=1e-3, atol=1e-4 * abs(wanted).max())

    scores, log_prob = module.scores_and_log_prob(x)
    weights = torch.randn(4, 10, generator=torch.Generator().manual_seed(1))
    (grad,) = torch.autograd.grad((weights * scores).sum() + (0.5 * log_prob).sum(), x)
    wanted = model.vjp(x.detach(), weights, np.full(4, 0.5))
    np.testing.assert_array_equal(grad.numpy(), wanted)
    (alone,) = torch.autograd.grad(module.log_prob(x).sum(), x)
    np.testing.assert_array_equal(alone.numpy(), model.vjp(x.detach(), None, np.ones(4)))


def test_gradients_against_finite_differences(module, x):
    """As torch.autograd.gradcheck, along random directions, as float32 allows."""
    for seed in range(3):
        weights = torch.randn(4, 10, generator=torch.Generator().manual_seed(seed))

        def value(images):
            scores, log_prob = module.scores_and_log_prob(images.double())
            return (weights * scores).sum(dim=1) + 0.3 * log_prob

        (grad,) = torch.autograd.grad(value(x).sum(), x)
        direction = grad / grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        with torch.no_grad():
            slope = (value(x + 1e-3 * direction) - value(x - 1e-3 * direction)) / 2e-3
        wanted = (grad * direction).flatten(1).sum(dim=1)
        torch.testing.assert_close(slope.float(), wanted, rtol=0.03, atol=0)


def test_memory_formats(module, x):
    images = x.detach()
    wanted = module(images)
    assert torch.equal(module(images.contiguous(memory_format=torch.channels_last)), wanted)
    assert torch.equal(module(images.expand(4, 1, 28, 28)), wanted)


def test_tools_find_what_they_ask_a_module_for(module):
    assert next(module.parameters()).device.type == "cpu"
    assert not any(each.requires_grad for each in module.parameters())
    assert not module.training and sum(each.numel() for each in module.parameters()) == 0


def test_errors_are_those_of_the_model(module, x):
    with pytest.raises(palindrome.UsageError, match="expected"):
        module(torch.zeros(2, 3, 28, 28))
    with pytest.raises(palindrome.UsageError, match="divide levels by 255"):
        module(x * 255)
    with pytest.raises(RuntimeError):  # no second derivatives
        (grad,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
        grad.sum().backward()
