"""Stabilizers that alter what the discriminator is told of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from gans.errors import InputError
from gans.objectives import Objective
from gans.randomness import Streams
from gans.stabilize.base import Stabilizer

if TYPE_CHECKING:
    from gans.gan import GAN


def require_targets(gan: GAN, name: str) -> None:
    """Refuse an objective for which it does not matter what the discriminator is told of a sample."""
    if not gan.objective.has_targets:
        raise InputError(
            f"stabilize.{name} alters what the discriminator is told of each sample, but "
            f"{type(gan.objective).__name__} tells it nothing, it compares: use another one, such as objective=bce"
        )


class LabelSmoothing(Stabilizer):
    """One-sided: each real target becomes target + U(-width, width); fake targets stay.

    A jittered form of Salimans et al. 2016, section 3.4 (they use the fixed value 0.9). A real sample that noisy labels
    calls fake keeps exactly the fake target, in whichever order the two techniques are given.
    """

    def __init__(self, width: Annotated[float, Field(ge=0)] = 0.1) -> None:
        super().__init__()
        self.width = width

    def attach(self, gan: GAN) -> None:
        require_targets(gan, "label_smoothing")
        span = abs(gan.objective.real_target - gan.objective.fake_target)
        if self.width > span / 2:
            raise InputError(
                f"stabilize.label_smoothing.width={self.width} moves real targets closer to the fake target than to "
                f"their own: they are {span:g} apart, so use at most {span / 2:g}"
            )

    def transform_targets(
        self, real: Tensor, fake: Tensor, objective: Objective, random: Streams
    ) -> tuple[Tensor, Tensor]:
        jitter = torch.empty_like(real).uniform_(-self.width, self.width, generator=random("label_smoothing"))
        return torch.where(real == objective.real_target, real + jitter, real), fake


class FixedLabelSmoothing(Stabilizer):
    """Each real target moves by ``amount`` of the way to the fake target: 1 becomes 0.9 (Salimans et al. 2016, 3.4).

    Args:
        two_sided: each fake target moves likewise towards the real one (Szegedy et al. 2016, section 7), which
            Salimans et al. advise against.
    """

    def __init__(self, amount: Annotated[float, Field(gt=0, lt=0.5)] = 0.1, two_sided: bool = False) -> None:
        super().__init__()
        self.amount = amount
        self.two_sided = two_sided

    def attach(self, gan: GAN) -> None:
        require_targets(gan, "fixed_label_smoothing")
        if any(isinstance(other, LabelSmoothing) for other in gan.stabilizers):
            raise InputError(
                "stabilize=[label_smoothing,fixed_label_smoothing]: both say where the real target goes, so that one "
                "would change nothing: use one of them"
            )

    @override
    def transform_targets(
        self, real: Tensor, fake: Tensor, objective: Objective, random: Streams
    ) -> tuple[Tensor, Tensor]:
        shift = self.amount * (objective.fake_target - objective.real_target)
        smoothed = torch.where(real == objective.real_target, real + shift, real)
        return smoothed, torch.where(fake == objective.fake_target, fake - shift, fake) if self.two_sided else fake


class NoisyLabels(Stabilizer):
    """Each target, real or fake, is exchanged with ``flip_probability`` for exactly the other kind's target.

    That is 1 <-> 0 under cross-entropy and a change of sign under the Wasserstein objective, in the discriminator's
    training only (Chintala et al. 2016, "How to train a GAN", tip 6).
    """

    def __init__(self, flip_probability: Annotated[float, Field(ge=0, le=1)] = 0.05) -> None:
        super().__init__()
        self.flip_probability = flip_probability

    def attach(self, gan: GAN) -> None:
        require_targets(gan, "noisy_labels")

    def transform_targets(
        self, real: Tensor, fake: Tensor, objective: Objective, random: Streams
    ) -> tuple[Tensor, Tensor]:
        stream = random("noisy_labels")

        def flip(targets: Tensor, other: float) -> Tensor:
            flipped = torch.rand(targets.shape, generator=stream, device=targets.device) < self.flip_probability
            return torch.where(flipped, other, targets)

        return flip(real, objective.fake_target), flip(fake, objective.real_target)
