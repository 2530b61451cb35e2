"""The one record that objectives, a GAN's own losses and stabilizers look at."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from torch import Tensor

NO_CLASS = -1
"""The label of an image whose class nobody asked for; it is not a valid class index, so using it fails loudly."""


class Side(NamedTuple):
    """Samples of one kind, real or fake, with what goes with them."""

    images: Tensor
    """Shape (n, channels, height, width), in the GAN's pixel range; of points, (n, dimensions)."""
    labels: Tensor
    """Class indices, shape (n,), int64; ``NO_CLASS`` where there is none."""
    targets: Tensor
    """What the player is told about each sample, shape (n,): the objective's real or fake target, perhaps altered."""
    wanted_real: Tensor
    """The verdict that the player wants, bool, shape (n,): the truth in the discriminator's turn, real in the
    generator's. Nothing alters it."""

    def none(self) -> "Side":
        """The same kind of samples, zero of them."""
        return self.first(0)

    def first(self, count: int) -> "Side":
        return Side(*(field[:count] for field in self))

    def told(self, target: float, *, wanted_real: bool) -> "Side":
        """The same samples, of which the player is told another target and wants another verdict."""
        return side_of(self.images, self.labels, target, wanted_real=wanted_real)


def side_of(images: Tensor, labels: Tensor, target: float, *, wanted_real: bool) -> Side:
    """Samples that are all told the same target and wanted to get the same verdict."""
    return Side(
        images,
        labels,
        targets=torch.full((len(images),), target, device=images.device),
        wanted_real=torch.full((len(images),), wanted_real, device=images.device),
    )


def joined(images: Tensor, labels: Tensor, together: int) -> tuple[Tensor, Tensor]:
    """Each ``together`` samples as one, along the channels: (n, c, ...) -> (n / together, together c, ...).

    The first samples fill up the last one where ``together`` does not divide n. The label is the first sample's.
    """
    if missing := -len(images) % together:
        filled = torch.arange(len(images) + missing, device=images.device) % len(images)
        images, labels = images[filled], labels[filled]
    return packed(images, together), labels[::together]


def packed(images: Tensor, together: int) -> Tensor:
    """Each ``together`` samples as one, along the channels: (together n, c, ...) -> (n, together c, ...)."""
    return images if together == 1 else images.unflatten(0, (-1, together)).flatten(1, 2)


def unpacked(images: Tensor, together: int) -> Tensor:
    """Sample by sample again: (n, together c, ...) -> (together n, c, ...)."""
    return images if together == 1 else images.unflatten(1, (together, -1)).flatten(0, 1)


@dataclass(frozen=True)
class Turn:
    """What one player's update looks at. Every loss term is a function of a turn to one value per sample.

    All samples of a turn pass the discriminator together, fakes first, or each side by itself, and only when their
    scores are first looked at. A side may be empty: the generator's turn has no reals, and a discriminator that learns
    from reals and fakes in two updates takes two turns.
    """

    judge: Callable[[Tensor, Tensor], Tensor]
    """(images, labels) -> outputs of shape (n, 1 + k): column 0 is the score, the others are the GAN's own."""
    fake: Side
    real: Side
    apart: bool = False
    """Whether each side passes by itself, which matters where a layer looks at the whole batch."""

    def only_real(self) -> "Turn":
        return replace(self, fake=self.fake.none())

    def only_fake(self) -> "Turn":
        return replace(self, real=self.real.none())

    @cached_property
    def both(self) -> Side:
        """All samples of the turn, fakes first."""
        fake, real = self.fake, self.real
        if not len(real.images):
            return fake
        return Side(*map(torch.cat, zip(fake, real, strict=True))) if len(fake.images) else real

    @cached_property
    def outputs(self) -> Tensor:
        """The discriminator's outputs, shape (n, 1 + k), float32 or better."""
        passes = [side for side in (self.fake, self.real) if len(side.images)] if self.apart else [self.both]
        outputs = torch.cat([self.judge(side.images, side.labels) for side in passes])
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    @property
    def scores(self) -> Tensor:
        """Logits, or a critic's unbounded values, shape (n,)."""
        return self.outputs[:, 0]


def means_of(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a player pays for each of its terms."""
    return {name: values.mean() for name, values in terms.items()}


def total(means: dict[str, Tensor]) -> Tensor:
    """What a player pays: the sum of the means of its terms."""
    return reduce(torch.add, means.values())
