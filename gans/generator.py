"""Base classes of generators, which make their own inputs, such as latents."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gans.data.batches import Batch
from gans.update import NO_CLASS


Classes = list[int | str]
"""The data's classes, of which a network needs to know the number."""


class Inputs(NamedTuple):
    """The inputs of a generator, for n samples."""

    arguments: tuple[Tensor, ...]
    """The positional arguments of ``forward``, each with n rows."""
    labels: Tensor
    """The class index of each sample, shape (n,), int64; ``NO_CLASS`` if it has none."""


class Generator(nn.Module):
    """A network from N(0, 1) latents (n, latent_size) to samples. One with other inputs overrides ``inputs``."""

    latent_size: int
    pixel_range: tuple[float, float]
    """(lowest, highest) value of the output's pixels; the discriminator's real images are scaled to it."""

    class_count = 0
    """Number of classes that it takes as input; 0 for an unconditional generator."""
    uniform_latents = False
    """Whether its latents are U(-1, 1) instead of N(0, 1)."""
    takes_images = False
    """Whether its inputs are images of the data set, which it transforms."""
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


class ConditionalGenerator(Generator):
    """A generator that takes latents and the class index of each sample. Subclasses set ``class_count``."""

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        (latents,), _ = super().inputs(count, random, batch)
        if classes is None:
            classes = torch.randint(self.class_count, (count,), generator=random, device=random.device)
        return Inputs((latents, classes), classes)
