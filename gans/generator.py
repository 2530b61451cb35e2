"""What every generator is: a network that knows what it must be fed."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gans.data.batches import Batch
from gans.update import NO_CLASS


class Inputs(NamedTuple):
    """What a generator is called with, for n samples."""

    arguments: tuple[Tensor, ...]
    """The positional arguments of ``forward``, each with n rows."""
    labels: Tensor
    """The class index asked of each sample, shape (n,), int64; ``NO_CLASS`` where none is."""

    def part(self, rows: slice) -> "Inputs":
        """The inputs of some of the samples."""
        return Inputs(tuple(argument[rows] for argument in self.arguments), self.labels[rows])


class Generator(nn.Module):
    """A network with N(0, 1) latents of ``latent_size``. One that takes something else overrides ``inputs``."""

    latent_size: int
    pixel_range: tuple[float, float]
    """The range of the output's pixels, and so of the images that the discriminator sees."""

    class_count = 0
    """How many classes it can be asked for."""
    takes_images = False
    """Whether it makes each image from an image of the data."""
    makes_points = False
    """Whether its samples are points (n, dimensions) and no images."""

    @property
    def takes_classes(self) -> bool:
        return self.class_count > 0

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        """Fresh inputs for ``count`` samples.

        Args:
            random: where random inputs come from; they are on its device.
            batch: images for a generator that transforms images, with at least ``count`` rows; others need none.
            classes: class indices asked for, shape (count,); a generator that takes classes draws them where None.
        """
        latents = torch.randn(count, self.latent_size, generator=random, device=random.device)
        return Inputs((latents,), torch.full((count,), NO_CLASS, device=random.device))


class ConditionalGenerator(Generator):
    """One that is called with latents and with the class index asked of each sample. It sets ``class_count``."""

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        (latents,), _ = super().inputs(count, random, batch)
        if classes is None:
            classes = torch.randint(self.class_count, (count,), generator=random, device=random.device)
        return Inputs((latents, classes), classes)
