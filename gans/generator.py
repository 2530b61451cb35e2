"""Base classes of generators, which make their own inputs, such as latents."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gans.data.batches import Batch
from gans.errors import InputError
from gans.update import NO_CLASS

Classes = Sequence[int | str]
"""The data's classes, of which a network needs to know the number."""


class Inputs(NamedTuple):
    """The inputs of a generator, for n samples."""

    arguments: tuple[Tensor, ...]
    """The positional arguments of ``forward``, each with n rows."""
    labels: Tensor
    """The class index of each sample, shape (n,), int64; ``NO_CLASS`` if it has none."""


Interpolate = Callable[[Tensor, Tensor, float], Tensor]
"""(start, end, share) -> latents between those of the start, at share 0, and those of the end, at share 1."""


class Generator(nn.Module):
    """A network from N(0, 1) latents (n, latent_size) to samples. One with other inputs overrides ``inputs``."""

    latent_size: int
    pixel_range: tuple[float, float]
    """(lowest, highest) value of the output's pixels; the discriminator's real images are scaled to it."""

    class_count = 0
    """Number of classes that it takes as input; 0 for an unconditional generator."""
    takes_images = False
    """Whether its inputs are images of the data set, which it transforms."""
    has_normal_latents = True
    """Whether the first of its inputs are latents from N(0, 1). One that overrides ``inputs`` with others says no."""
    has_uniform_latents = False
    """Whether they are latents from U(-1, 1) instead."""
    makes_points = False
    """Whether its samples are points (n, dimensions) instead of images."""

    @property
    def takes_classes(self) -> bool:
        return self.class_count > 0

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        """New inputs for ``count`` samples.

        Args:
            random: draws the inputs, on its device.
            batch: at least ``count`` images, for a generator that transforms images; others ignore it.
            classes: class indices, shape (count,); if None, a generator that takes classes draws them.
        """
        latents = torch.randn(count, self.latent_size, generator=random, device=random.device)
        return Inputs((latents,), torch.full((count,), NO_CLASS, device=random.device))

    def between(self, start: Inputs, end: Inputs, share: float, interpolate: Interpolate) -> Tensor:
        """Samples from inputs between two sets of n inputs.

        Args:
            share: of the way from the start to the end, from 0 to 1.
            interpolate: how latents are interpolated.
        """
        return self(interpolate(start.arguments[0], end.arguments[0], share))


class ConditionalGenerator(Generator):
    """A generator that takes latents and the class index of each sample. Subclasses set ``class_count``.

    A class is an index, which can't be interpolated. What a network makes of it first can: ``embed`` is the first part
    of ``forward``, and ``generate`` the rest. A subclass that overrides ``forward`` as a whole can't walk.
    """

    def embed(self, classes: Tensor) -> tuple[Tensor, ...]:
        """What the network makes of class indices (n,) alone: tensors with n rows, linear in a one-hot class."""
        raise InputError(f"{type(self).__name__} has no embed and generate, which a walk needs: leave walk out")

    def generate(self, latents: Tensor, *embedded: Tensor) -> Tensor:
        """Samples from latents (n, latent_size) and ``embed``'s tensors."""
        raise InputError(f"{type(self).__name__} has embed, but not generate: write it too, or only forward")

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return self.generate(latents, *self.embed(classes))

    def between(self, start: Inputs, end: Inputs, share: float, interpolate: Interpolate) -> Tensor:
        """Interpolates the latents, and linearly what ``embed`` makes of the classes."""
        (latents, classes), (other_latents, other_classes) = start.arguments, end.arguments
        pairs = zip(self.embed(classes), self.embed(other_classes), strict=True)
        embedded = (torch.lerp(first, second, share) for first, second in pairs)
        return self.generate(interpolate(latents, other_latents, share), *embedded)

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        (latents,), _ = super().inputs(count, random, batch)
        if classes is None:
            classes = torch.randint(self.class_count, (count,), generator=random, device=random.device)
        return Inputs((latents, classes), classes)


def require_generator(generator: nn.Module) -> None:
    """Refuse a generator that is none, or does not say what it makes and takes, with an InputError."""
    name = type(generator).__name__
    if not isinstance(generator, Generator):
        raise InputError(f"{name} is no generator: derive the class from gans.generator.Generator")
    pixel_range = getattr(generator, "pixel_range", None)
    if not _is_range(pixel_range):
        raise InputError(
            f"{name}: pixel_range={pixel_range} is not the lowest and the highest value of its pixels: write, for "
            "example, pixel_range = (-1.0, 1.0)"
        )
    classes, least = generator.class_count, int(isinstance(generator, ConditionalGenerator))
    if not isinstance(classes, int) or classes < least:
        raise InputError(f"{name}: class_count={classes} is not an integer, {least} or more: set it in __init__")
    size = getattr(generator, "latent_size", None)
    has_own_inputs = type(generator).inputs not in (Generator.inputs, ConditionalGenerator.inputs)
    if not (isinstance(size, int) and size > 0) and not (has_own_inputs and size is None):
        raise InputError(f"{name}: latent_size={size} is not an integer, 1 or more: set it in __init__")


def _is_range(value: object) -> bool:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    return all(isinstance(end, int | float) and math.isfinite(end) for end in value) and value[0] < value[1]
