"""Images of other sizes and channels: each model makes and judges them, or is refused in one line."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.config.build import build_data, build_gan
from gans.config.compatibility import require_match
from gans.data.source import Source
from gans.errors import InputError
from gans.gan import GAN
from gans.models.layers import halvings
from tests.configs import narrow, run_config
from tests.training import MODELS, train

SIZED = ("acgan", "cgan", "dcgan", "projection", "residual", "wgan", "wgan_clipped")
"""Models that follow the data's size."""
PROMISED = (14, 16, 28, 32, 64)
"""Sizes that these models make, among others."""


def built(model: str, size: int, channels: int) -> tuple[Source, GAN]:
    """Data of this shape and a GAN for it, with few channels where that is an option."""
    options = (f"model={model}", "data=digits", f"data.size={size}", f"data.channels={channels}", "data.limit=60")
    config = run_config(*options, "data.val_size=0", "data.batch_size=4", *narrow(options[0]))
    data = build_data(config)
    gan = build_gan(config)
    require_match(gan, data)
    return data, gan


def built_or_refusal(model: str, size: int, channels: int) -> tuple[Source, GAN] | str:
    try:
        return built(model, size, channels)
    except InputError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("model", SIZED)
@pytest.mark.parametrize(("size", "channels"), [(16, 1), (28, 3), (32, 1), (64, 3)])
@torch.no_grad()
def test_a_model_makes_and_judges_images_of_the_data(model: str, size: int, channels: int) -> None:
    _, gan = built(model, size, channels)
    inputs = gan.generator.inputs(2, torch.Generator(), None)
    images = gan.sample(inputs)
    assert images.shape == (2, channels, size, size)
    assert gan.discriminate(images, torch.zeros(2).long()).shape[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@given(st.sampled_from(PROMISED) | st.integers(1, 70), st.sampled_from([1, 3]))
@settings(max_examples=8, deadline=None)
def test_any_shape_trains_or_is_refused_in_one_line(model: str, size: int, channels: int) -> None:
    result = built_or_refusal(model, size, channels)
    if isinstance(result, str):
        assert "\n" not in result
        halved_too_often = (model, size) == ("residual", 14)  # by its three widths, unless there are fewer
        assert model not in SIZED or size not in PROMISED or halved_too_often, result
        return
    data, gan = result
    batches = [data.train_images.select(slice(start, start + 4)).to_batch() for start in (0, 4)]
    assert train(gan, batches).training_steps == 2


@given(st.integers(1, 300))
def test_sizes_are_seven_or_eight_times_a_power_of_two(size: int) -> None:
    known = [(side, count) for side in (7, 8) for count in range(7) if size == side * 2**count]
    if known:
        assert [halvings(size)] == known
    else:
        with pytest.raises(InputError, match=r"data\.size"):
            halvings(size)
