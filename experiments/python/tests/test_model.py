"""What a model says, against itself and by hand."""

import numpy as np
import pytest

import palindrome


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_facts(model):
    assert model.architecture == "ibinn-mnist"
    assert (model.classes, model.image_size, model.channels, model.dims) == (10, 28, 1, 784)
    assert model.class_names[3] and len(model.class_names) == 10
    assert model.has_density and model.device == "cpu" and model.threads == 2
    assert "10 classes, 28x28x1" in repr(model)
    assert palindrome.__version__[0].isdigit()


def test_shapes_and_types(model, levels):
    scores, log_prob = model.scores_and_log_prob(levels)
    assert scores.shape == (12, 10) and scores.dtype == np.float64
    assert log_prob.shape == (12,) and log_prob.dtype == np.float64
    np.testing.assert_array_equal(model.scores(levels), scores)
    np.testing.assert_array_equal(model.log_prob(levels), log_prob)
    np.testing.assert_array_equal(model.predict(levels), scores.argmax(axis=1))
    assert scores.flags.writeable and scores.flags.owndata is False


def test_posterior_is_the_softmax(model, levels):
    posterior = model.posterior(levels)
    np.testing.assert_allclose(posterior, softmax(model.scores(levels)), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-12)


def test_calibrated_posterior(model, levels):
    assert model.temperature is not None
    tempered = softmax(model.scores(levels) / model.temperature)
    np.testing.assert_allclose(model.posterior(levels, calibrated=True), tempered, rtol=1e-9, atol=1e-300)


def test_bits_per_dim_follow_from_log_prob(model, levels):
    bits = np.log2(255) - model.log_prob(levels) / (model.dims * np.log(2))
    np.testing.assert_allclose(model.bits_per_dim(levels), bits, rtol=1e-12)


def test_log_prob_is_a_density_of_pixels(model):
    """ln q(x) = ln mean_y N(z; mu_y, 1) + ln |det dz/dx|, all of it from outside: the means are samples
    at temperature 0, the Jacobian is by differences of pixels."""
    x = model.sample(1, 1, 0.5, seed=2).astype(np.float64).clip(0.05, 0.95)
    step = 4e-3
    moves = step * np.eye(model.dims).reshape(-1, *x.shape[1:])
    jacobian = (
        model.encode(x + moves).astype(np.float64) - model.encode(x - moves).astype(np.float64)
    ) / (2 * step)
    log_det = np.linalg.slogdet(jacobian)[1]
    means = np.concatenate([model.sample(y, 1, 0.0, clip=False) for y in range(model.classes)])
    with palindrome.load(model.checkpoint, check_range=False) as free:
        mu = free.encode(means).astype(np.float64)
    z = model.encode(x).astype(np.float64)
    log_normals = -((z - mu) ** 2).sum(axis=1) / 2 - model.dims / 2 * np.log(2 * np.pi)
    wanted = np.logaddexp.reduce(log_normals) - np.log(model.classes) + log_det
    # Of more than a thousand nats; the normalisation alone is 816 of them, its constant 720.
    np.testing.assert_allclose(model.log_prob(x)[0], wanted, atol=20)


def test_decode_is_the_inverse_of_encode(model, pixels):
    np.testing.assert_allclose(model.decode(model.encode(pixels)), pixels, atol=1e-3)
    z = model.encode(pixels)
    np.testing.assert_array_equal(model.decode(z.astype(np.float64)), model.decode(z))
    np.testing.assert_array_equal(model.decode(np.asfortranarray(z)), model.decode(z))
    channels_first = model.decode(z, layout="nchw")
    assert channels_first.shape == (12, 1, 28, 28)
    np.testing.assert_array_equal(channels_first[:, 0], model.decode(z)[..., 0])


def test_samples(model):
    three = model.sample(4, 3, temperature=0.7, seed=5)
    assert three.shape == (3, 28, 28, 1) and three.dtype == np.float32
    assert three.min() >= 0 and three.max() <= 1
    np.testing.assert_array_equal(model.sample(4, 3, 0.7, 5), three)
    np.testing.assert_array_equal(model.sample(4, 2, 0.7, 5), three[:2])
    assert (model.sample(4, 3, 0.7, 6) != three).any()
    assert (model.sample(3, 3, 0.7, 5) != three).any()
    free = model.sample(4, 3, 0.7, 5, clip=False)
    np.testing.assert_array_equal(free.clip(0, 1), three)
    assert (model.predict(model.sample(4, 20, 0.3)) == 4).mean() > 0.5


def test_evidence_sums_to_the_difference_of_scores(model, levels):
    scores = model.scores(levels)
    maps = model.evidence(levels, 3, 7)
    assert maps.ndim == 3 and maps.shape[1] == maps.shape[2]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), scores[:, 3] - scores[:, 7], atol=2e-3)
    best = scores.argmax(axis=1)
    against = np.argsort(scores, axis=1)[:, -2]
    maps = model.evidence(levels, best, against)
    each = np.arange(len(best))
    np.testing.assert_allclose(
        maps.sum(axis=(1, 2)), scores[each, best] - scores[each, against], atol=2e-3
    )


def test_a_batch_is_its_images(model, levels):
    many = np.concatenate([levels] * 10)
    scores = model.scores(many)
    assert scores.shape == (120, 10)
    np.testing.assert_allclose(scores, np.tile(model.scores(levels), (10, 1)), atol=1e-3)
    np.testing.assert_array_equal(model.scores(many), scores)


@pytest.mark.parametrize("what", ["scores", "log_prob", "both"])
def test_vjp_against_finite_differences(model, what):
    """Along a random direction, with a step that float32 can see, inside [0, 1]."""
    random = np.random.default_rng(3)
    x = model.sample(2, 4, 0.5, seed=1).astype(np.float64).clip(0.05, 0.95)
    grad_scores = random.normal(size=(4, 10)) if what != "log_prob" else None
    grad_log_prob = random.normal(size=4) if what != "scores" else None

    def value(images):
        scores, log_prob = model.scores_and_log_prob(images)
        total = np.zeros(4)
        if grad_scores is not None:
            total += (grad_scores * scores).sum(axis=1)
        if grad_log_prob is not None:
            total += grad_log_prob * log_prob
        return total

    grad = model.vjp(x, grad_scores, grad_log_prob).astype(np.float64)
    assert grad.shape == x.shape
    # The direction of the gradient itself, where the slope is largest.
    direction = grad / np.sqrt((grad**2).sum(axis=(1, 2, 3), keepdims=True))
    step = 1e-3
    slope = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    wanted = (grad * direction).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(slope, wanted, rtol=0.03)
