"""Compatibility of model, data, trainer and machine, checked before anything is written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from gans.data.source import Source
from gans.errors import InputError, one_line
from gans.gan import GAN
from gans.machine import require_accelerator
from gans.randomness import Streams


def require_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuse a trainer without a budget, or with an accelerator that this machine does not have, with an InputError."""
    if trainer.get("max_epochs") is None and trainer.get("max_steps") is None:
        raise InputError("how long to train? give trainer.max_epochs or trainer.max_steps")
    require_accelerator(trainer.get("accelerator", "auto"))


def require_match(gan: GAN, data: Source) -> None:
    """Refuse networks with other samples or classes than the data, wrong batch sizes, and losses that can't be what is
    meant, with an InputError."""
    require_shapes(gan, data)
    require_classes(gan, data)
    require_batches(gan, data)
    require_losses(gan, data)
    _ = gan.sampling_generator_name
    for name, value in gan.generator.state_dict().items():
        if not isinstance(value, torch.Tensor):  # of get_extra_state
            raise InputError(f"model.generator: {name} is a {type(value).__name__}: files of weights hold tensors only")


def require_classes(gan: GAN, data: Source) -> None:
    count = gan.generator.class_count
    if data.label_noise and not count:
        raise InputError(
            "data.label_noise changes classes, but this model takes no classes: use one that does, such as "
            "model=projection"
        )
    if gan.discriminator_takes_classes and not count:
        raise InputError(
            f"model.discriminator of {type(gan).__name__} compares classes, but model.generator makes images of none: "
            "use a generator that takes classes, or model=dcgan"
        )
    if count and count != len(data.classes):
        raise InputError(
            f"model.generator.classes has {count} classes, but data={data.source} has {len(data.classes)}: use as many"
        )


def require_batches(gan: GAN, data: Source) -> None:
    pack_size = gan.stabilizers.pack_size
    if data.batch_size % pack_size:
        raise InputError(
            f"data.batch_size={data.batch_size} can't be divided into packs of {pack_size} samples: use a multiple of "
            f"{pack_size}"
        )
    if gan.separate_forward and data.batch_size < 2 * pack_size:
        raise InputError(
            f"data.batch_size={data.batch_size} is too small for a discriminator that sees reals and fakes apart, and "
            f"compares the samples of each: use {2 * pack_size} or more"
        )
    if data.batch_size == 1 and any(isinstance(module, nn.BatchNorm1d) for module in gan.modules()):
        raise InputError("data.batch_size=1 is too small for BatchNorm: use 2 or more")


@torch.no_grad()
def require_shapes(gan: GAN, data: Source) -> None:
    """Run both networks once."""
    batch = data.train_images.select(slice(2)).to_batch()
    expected = tuple(batch.images.shape[1:])
    try:
        with undisturbed(gan):
            inputs = gan.generator.inputs(len(batch.images), Streams(gan.seed, "fit")("latent"), batch)
            made = tuple(gan.sample(inputs).shape[1:])
            if made == expected:
                fake = gan.fake_samples(gan.generator, inputs, desired_real=False)
                scores = gan.discriminate(fake.images, torch.full_like(fake.labels, len(data.classes) - 1))
    except (RuntimeError, IndexError) as error:
        raise InputError(
            f"the model's networks don't fit data={data.source}, {_shape(expected)}: {one_line(error)}. "
            "Use another model or other data"
        ) from error
    if made != expected:
        raise InputError(
            f"{type(gan.generator).__name__} makes samples of {_shape(made)}, but data={data.source} has "
            f"{_shape(expected)}: use another model or other data"
        )
    if tuple(scores.shape) != (len(fake.images), gan.output_count):
        raise InputError(
            f"{type(gan.discriminator).__name__} makes {tuple(scores.shape)} of {len(fake.images)} samples, but "
            f"{type(gan).__name__} needs (n, {gan.output_count}) of n samples, their score in column 0"
        )


def require_losses(gan: GAN, data: Source) -> None:
    """Compute both players' losses once, which refuses wrong shapes and names, and losses without a gradient.

    The first step does so for penalties.
    """
    packs = data.train_images.select(slice(2 * gan.stabilizers.pack_size)).to_batch()
    with undisturbed(gan):
        gan.measure_held_out(packs, 0)


@contextmanager
def undisturbed(gan: GAN) -> Iterator[None]:
    """Evaluation mode, after which weights, modes and random numbers are the same as before."""
    modes = [(module, module.training) for module in gan.modules()]
    gan.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, training in modes:
            module.training = training


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} coordinates"
