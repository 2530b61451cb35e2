"""Whether a model and data go together, checked before anything is written."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from gans.data.source import Source
from gans.errors import InputError
from gans.gan import GAN
from gans.options import one_line
from gans.randomness import Streams
from gans.settings import require_kind


def require_match(gan: GAN, data: Source[Any]) -> None:
    """Refuse networks that make or take other samples or classes than the data's, and batches that say nothing.

    Raises:
        InputError: naming what does not go together, and what to use.
    """
    require_kind(type(gan.generator).__name__, gan.generator.makes_points, type(data).__name__, data.holds_points)
    require_classes(gan, data)
    require_batches(gan, data)
    require_shapes(gan, data)


def require_classes(gan: GAN, data: Source[Any]) -> None:
    count = gan.generator.class_count
    if data.noisy_labels and not count:
        raise InputError(
            "data.label_noise changes classes, and this model is not told any: use a model that is asked for classes, "
            "such as model=projection"
        )
    if count and count != len(data.classes):
        raise InputError(
            f"model.generator.classes has {count} classes, but data={data.source} has {len(data.classes)}: use as many"
        )


def require_batches(gan: GAN, data: Source[Any]) -> None:
    together = gan.stabilizers.together
    if data.batch_size % together or (gan.apart and data.batch_size < 2 * together):
        raise InputError(
            f"data.batch_size={data.batch_size} fills too few packs of {together} samples, or leaves some over: use a "
            f"larger multiple of {together}"
        )
    if data.batch_size == 1 and any(isinstance(module, nn.BatchNorm1d) for module in gan.modules()):
        raise InputError("data.batch_size=1 leaves BatchNorm nothing to compare a sample with: use 2 or more")


@torch.no_grad()
def require_shapes(gan: GAN, data: Source[Any]) -> None:
    """A pass through both networks, which leaves no trace."""
    batch = data.train_images.at(slice(2)).to_batch()
    expected = tuple(batch.images.shape[1:])
    modes = [(module, module.training) for module in gan.modules()]
    gan.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            inputs = gan.generator.inputs(len(batch.images), Streams(gan.seed, "fit")("latent"), batch)
            made = gan.sample(inputs)
            shown = gan.fake_side(gan.generator, inputs, wanted_real=False)
            gan.discriminate(shown.images, torch.full_like(shown.labels, len(data.classes) - 1))
    except (RuntimeError, IndexError) as error:
        raise InputError(
            f"the model's networks don't fit data={data.source}, {_shape(expected)}: {one_line(error)}. "
            "Use another model or other data"
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    if tuple(made.shape[1:]) != expected:
        raise InputError(
            f"{type(gan.generator).__name__} makes samples of {_shape(made.shape[1:])}, but data={data.source} has "
            f"{_shape(expected)}: use another model or other data"
        )


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))
