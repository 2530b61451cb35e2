"""Whether the chosen model, data and trainer go together, and with this machine; checked before anything is written."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from gans.data.source import Source
from gans.errors import InputError, one_line
from gans.gan import GAN
from gans.machine import require_accelerator
from gans.randomness import Streams


def require_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuse a training without an end, and an accelerator that this machine does not have.

    Raises:
        InputError: saying what to give.
    """
    if trainer.get("max_epochs") is None and trainer.get("max_steps") is None:
        raise InputError("how long to train? give trainer.max_epochs or trainer.max_steps")
    require_accelerator(trainer.get("accelerator", "auto"))


def require_match(gan: GAN, data: Source[Any]) -> None:
    """Refuse networks that make or take other samples or classes than the data's, and batches that say nothing.

    Raises:
        InputError: naming what does not go together, and what to use.
    """
    require_kind(gan, data)
    require_classes(gan, data)
    require_batches(gan, data)
    require_shapes(gan, data)


def require_kind(gan: GAN, data: Source[Any]) -> None:
    """Refuse a generator of points for images, and the other way round."""
    kinds = ("images", "points")
    made, held = kinds[gan.generator.makes_points], kinds[data.holds_points]
    if made != held:
        raise InputError(
            f"{type(gan.generator).__name__} makes {made}, but {type(data).__name__} has {held}: use another model=... "
            "or other data=..."
        )


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
    pack_size = gan.stabilizers.pack_size
    if data.batch_size % pack_size or (gan.separate_forward and data.batch_size < 2 * pack_size):
        raise InputError(
            f"data.batch_size={data.batch_size} fills too few packs of {pack_size} samples, or leaves some over: use a "
            f"larger multiple of {pack_size}"
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
            shown = gan.fake_samples(gan.generator, inputs, desired_real=False)
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
