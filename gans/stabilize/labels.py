"""Stabilizers that alter the discriminator's targets."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from gans.errors import InputError
from gans.objectives import Objective
from gans.randomness import Streams
from gans.stabilize.base import StabilizedGAN, Stabilizer, Targets, refuse_beside


def require_targets(gan: StabilizedGAN, name: str) -> None:
    """Refuse an objective that does not use targets."""
    if not gan.objective.has_targets:
        raise InputError(
            f"stabilize.{name} alters the targets of samples, but {type(gan.objective).__name__} has none, since it "
            "compares scores: use another objective, such as objective=bce"
        )


class LabelSmoothing(Stabilizer):
    """One-sided: each real target becomes target + U(-width, width); fake targets stay.

    The targets' mean stays the real target. Except for hinge, each loss's gradient is linear in the target, so that
    this only adds noise to it: it does not keep the discriminator unsure, as the fixed 0.9 of Salimans et al. 2016,
    section 3.4, does (``fixed_label_smoothing``). If noisy_labels exchanges a real sample's target, it stays exactly
    the fake target, whichever stabilizer comes first.
    """

    def __init__(self, width: Annotated[float, Field(ge=0)] = 0.1) -> None:
        super().__init__()
        self.width = width

    def attach(self, gan: StabilizedGAN) -> None:
        require_targets(gan, "label_smoothing")
        span = abs(gan.objective.real_target - gan.objective.fake_target)
        if self.width > span / 2:
            raise InputError(
                f"stabilize.label_smoothing.width={self.width} moves real targets closer to the fake target than to "
                f"the real one: the targets are {span:g} apart, so use at most {span / 2:g}"
            )

    def transform_targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> Targets:
        jitter = torch.empty_like(real).uniform_(-self.width, self.width, generator=random("label_smoothing"))
        return torch.where(real == objective.real_target, real + jitter, real), fake


class FixedLabelSmoothing(Stabilizer):
    """Each real target moves by ``amount`` of the way to the fake target: 1 becomes 0.9 (Salimans et al. 2016, 3.4).

    A Wasserstein critic needs ``two_sided``: one-sided, a constant added to all its scores changes its loss, so that
    its level drifts unless weights are clipped.

    Args:
        two_sided: fake targets move towards the real target by the same amount (Szegedy et al. 2016, section 7);
            Salimans et al. advise against it.
    """

    def __init__(self, amount: Annotated[float, Field(gt=0, lt=0.5)] = 0.1, two_sided: bool = False) -> None:
        super().__init__()
        self.amount = amount
        self.two_sided = two_sided

    def attach(self, gan: StabilizedGAN) -> None:
        require_targets(gan, "fixed_label_smoothing")
        why = "both set the real target, so one would have no effect"
        refuse_beside(gan, "fixed_label_smoothing", LabelSmoothing, why)

    def transform_targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> Targets:
        shift = self.amount * (objective.fake_target - objective.real_target)
        smoothed = torch.where(real == objective.real_target, real + shift, real)
        return smoothed, torch.where(fake == objective.fake_target, fake - shift, fake) if self.two_sided else fake


class NoisyLabels(Stabilizer):
    """Each target, real or fake, is replaced by the other kind's target with ``flip_probability``.

    That is 1 <-> 0 for cross-entropy and a change of sign for the Wasserstein objective. Only the discriminator's
    training is affected (Chintala et al. 2016, "How to train a GAN", tip 6).
    """

    def __init__(self, flip_probability: Annotated[float, Field(ge=0, le=1)] = 0.05) -> None:
        super().__init__()
        self.flip_probability = flip_probability

    def attach(self, gan: StabilizedGAN) -> None:
        require_targets(gan, "noisy_labels")

    def transform_targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> Targets:
        stream = random("noisy_labels")

        def flip(targets: Tensor, other: float) -> Tensor:
            flipped = torch.rand(targets.shape, generator=stream, device=targets.device) < self.flip_probability
            return torch.where(flipped, other, targets)

        return flip(real, objective.fake_target), flip(fake, objective.real_target)
