"""Arrays as users have them: any layout, numpy or DLPack."""

import numpy as np
import pytest

import palindrome


def test_levels_are_pixels_times_255(model, levels, pixels):
    wanted = model.scores(levels)
    np.testing.assert_array_equal(model.scores(pixels), wanted)
    np.testing.assert_array_equal(model.scores(levels / 255.0), wanted)


def test_layouts(model, levels, pixels):
    wanted = model.log_prob(levels)
    first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    for images in (
        first,  # [n, 1, 28, 28]
        pixels.transpose(0, 3, 1, 2),
        np.asfortranarray(pixels),
        np.concatenate([pixels, pixels], axis=2)[:, :, :28],
        np.repeat(pixels, 2, axis=0)[::2],
    ):
        np.testing.assert_array_equal(model.log_prob(images), wanted)
    np.testing.assert_array_equal(model.log_prob(pixels[::-1]), wanted[::-1])
    np.testing.assert_array_equal(model.log_prob(first, layout="nchw"), wanted)
    one = np.broadcast_to(pixels[:1], pixels.shape)
    np.testing.assert_array_equal(model.log_prob(one), np.full(12, model.log_prob(one)[0]))


def test_read_only_arrays(model, pixels):
    frozen = pixels.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(model.scores(frozen), model.scores(pixels))


def test_gradients_have_the_layout_of_the_images(model, pixels):
    ones = np.ones((12, 10))
    last = model.vjp(pixels, ones)
    first = model.vjp(pixels.transpose(0, 3, 1, 2), ones)
    assert first.shape == (12, 1, 28, 28)
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)


def test_results_outlive_the_model(levels):
    from conftest import FASHION

    with palindrome.load(FASHION) as model:
        scores = model.scores(levels)
        again = scores.copy()
    np.testing.assert_array_equal(scores, again)


def test_torch_tensors(model, levels, pixels):
    torch = pytest.importorskip("torch")
    wanted = model.scores(levels)
    first = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    for images in (
        torch.from_numpy(levels),
        torch.from_numpy(pixels),
        first,
        first.contiguous(),
        first.contiguous(memory_format=torch.channels_last),
        first.double(),
    ):
        np.testing.assert_array_equal(model.scores(images), model.scores(np.asarray(images)))
    np.testing.assert_array_equal(model.scores(first), wanted)
    with pytest.raises(palindrome.UsageError, match="requires gradients"):
        model.scores(first.clone().requires_grad_())
    for wrong in (first.half(), first.bfloat16()):
        with pytest.raises(palindrome.UsageError, match="uint8 levels, or pixels"):
            model.scores(wrong)
