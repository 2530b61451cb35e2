"""What one player's update works on: samples, their targets, and the discriminator's scores."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gans.errors import InputError

NO_CLASS = -1
"""The label of a sample without a class. It is not a valid class index, so using it as one fails."""

Returned = TypeVar("Returned")

Terms = dict[str, Tensor]
"""Loss terms by name, one value per sample, shape (n,)."""


class Samples(NamedTuple):
    """Samples of one kind, real or fake."""

    images: Tensor
    """Shape (n, channels, height, width), in the GAN's pixel range; points have shape (n, dimensions)."""
    labels: Tensor
    """Class indices, shape (n,), int64; ``NO_CLASS`` if a sample has no class."""
    targets: Tensor
    """The target of each sample's score, shape (n,): the objective's real or fake target, perhaps altered."""
    desired_real: Tensor
    """Whether the player wants the discriminator to answer "real", bool, shape (n,). In the discriminator's update that
    is the truth; in the generator's update it is true for fakes. No stabilizer alters it."""

    def first(self, count: int) -> "Samples":
        """The first ``count`` samples."""
        return Samples(*(field[:count] for field in self))

    def with_target(self, target: float, *, desired_real: bool) -> "Samples":
        """The same samples with another target and desired answer."""
        return samples_with_target(self.images, self.labels, target, desired_real=desired_real)


def samples_with_target(images: Tensor, labels: Tensor, target: float, *, desired_real: bool) -> Samples:
    """Samples with one target and one desired answer for all."""
    return Samples(
        images,
        labels,
        targets=torch.full((len(images),), target, device=images.device),
        desired_real=torch.full((len(images),), desired_real, device=images.device),
    )


def pack_samples(images: Tensor, labels: Tensor, pack_size: int) -> tuple[Tensor, Tensor]:
    """Join every ``pack_size`` samples along the channels: (n, c, ...) -> (n / pack_size, pack_size c, ...).

    If ``pack_size`` does not divide n, the first samples fill up the last pack. A pack takes its first sample's label.
    """
    if missing := -len(images) % pack_size:
        filled = torch.arange(len(images) + missing, device=images.device) % len(images)
        images, labels = images[filled], labels[filled]
    return pack(images, pack_size), labels[::pack_size]


def pack(images: Tensor, pack_size: int) -> Tensor:
    """Join every ``pack_size`` samples along the channels: (pack_size n, c, ...) -> (n, pack_size c, ...)."""
    return images if pack_size == 1 else images.unflatten(0, (-1, pack_size)).flatten(1, 2)


def unpack(images: Tensor, pack_size: int) -> Tensor:
    """The inverse of ``pack``: (n, pack_size c, ...) -> (pack_size n, c, ...)."""
    return images if pack_size == 1 else images.unflatten(1, (pack_size, -1)).flatten(0, 1)


@dataclass(frozen=True)
class PlayerBatch:
    """The samples of one player's update, before the discriminator has scored them.

    Either kind may be empty: the generator's batch usually has no reals, and alternating updates of the discriminator
    take one kind each.
    """

    score: Callable[[Tensor, Tensor], Tensor]
    """The discriminator: (images, labels) -> outputs, shape (n, 1 + k). Column 0 is the score; the others belong to
    subclasses of GAN."""
    fake: Samples
    real: Samples
    separate_forward: bool
    """Whether reals and fakes pass the discriminator separately, which matters to BatchNorm and the like."""

    def only_real(self) -> "PlayerBatch":
        return replace(self, fake=self.fake.first(0))

    def only_fake(self) -> "PlayerBatch":
        return replace(self, real=self.real.first(0))

    @cached_property
    def both(self) -> Samples:
        """All samples, fakes first."""
        fake, real = self.fake, self.real
        if not len(real.images):
            return fake
        return Samples(*map(torch.cat, zip(fake, real, strict=True))) if len(fake.images) else real

    def forward(self) -> "ScoredBatch":
        """Pass all samples through the discriminator."""
        passes = [part for part in (self.fake, self.real) if len(part.images)] if self.separate_forward else [self.both]
        outputs = torch.cat([self.score(part.images, part.labels) for part in passes])
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        return ScoredBatch(self.score, self.fake, self.real, self.separate_forward, outputs)

    def scored(self) -> "ScoredBatch":
        """The batch with its scores: itself if it has them, else ``forward``."""
        return self.forward()


@dataclass(frozen=True)
class ScoredBatch(PlayerBatch):
    """A player's batch with the discriminator's outputs, of which a loss term has a value for each sample or pair."""

    outputs: Tensor
    """The discriminator's outputs for ``both``, shape (n, 1 + k), float32 or better."""

    @property
    def scores(self) -> Tensor:
        """Logits or a critic's values, shape (n,), without output activation."""
        return self.outputs[:, 0]

    def scored(self) -> "ScoredBatch":
        return self

    @property
    def scores_by_kind(self) -> tuple[Tensor, Tensor]:
        """The scores of the fakes, and those of the reals."""
        fake, real = self.scores.split((len(self.fake.images), len(self.real.images)))
        return fake, real

    @property
    def targets(self) -> Tensor:
        """The target of each score, shape (n,)."""
        return self.both.targets


def returned(made: object, kind: type[Returned], owner: object, method: str, instead: str) -> Returned:
    """What a method of a class of one's own has returned; an InputError that names both if it is of another kind."""
    if not isinstance(made, kind):
        raise InputError(f"{type(owner).__name__}.{method} returns {type(made).__name__}: return {instead}")
    return made


def per_sample(terms: Terms, owner: object, method: str) -> Terms:
    """The loss terms that a method returns; an InputError that names it for one that is not one value per sample.

    One of shape (n, n), made by broadcasting, would be averaged and train something else.
    """
    returned(terms, dict, owner, method, "a dictionary of loss terms by name, such as {'mine': values}")
    for name, values in terms.items():
        if not isinstance(values, Tensor) or values.ndim != 1:
            found = (
                f"has the shape {tuple(values.shape)}"
                if isinstance(values, Tensor)
                else f"is a {type(values).__name__}"
            )
            raise InputError(
                f"{type(owner).__name__}.{method}: its loss '{name}' {found}: return one value per sample, shape (n,), "
                "from batch.scores and batch.targets, which are (n,)"
            )
    return terms


def require_gradients(terms: Terms, player: str) -> None:
    """Refuse a loss term that has a value, but no gradient, so that it would change nothing, with an InputError."""
    for name, values in terms.items():
        if not values.requires_grad and bool(values.any()):
            raise InputError(
                f"the {player}'s loss '{name}' has no gradient, so nothing would be learned from it: compute it with "
                "PyTorch's functions, without detach, item or numpy; a penalty on gradients takes create_graph=True"
            )


def merged(one: dict[str, Tensor], other: dict[str, Tensor], owner: str) -> dict[str, Tensor]:
    """Both dictionaries as one; an InputError that names the owner of the other for a name that both have."""
    if doubled := sorted(one.keys() & other.keys()):
        raise InputError(
            f"{owner}: the name '{doubled[0]}' is taken by another loss or accuracy of the same player: choose another"
        )
    return one | other


def mean_terms(terms: Terms) -> dict[str, Tensor]:
    """The mean of each loss term over the samples."""
    return {name: values.mean() for name, values in terms.items()}


def total(means: dict[str, Tensor]) -> Tensor:
    """A player's loss: the sum of the means of its terms."""
    return reduce(torch.add, means.values())
