"""Stabilizers that charge the discriminator for steep gradients with respect to its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from typing_extensions import override

from gans.errors import InputError
from gans.randomness import Streams
from gans.stabilize.base import Stabilizer
from gans.stabilize.weights import WeightClipping
from gans.update import PlayerBatch, Samples

if TYPE_CHECKING:
    from gans.gan import GAN

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Weight = Annotated[float, Field(gt=0)]


def squared_norms(batch: PlayerBatch, images: Tensor, labels: Tensor) -> Tensor:
    """||grad of the score with respect to each sample||², over all of the sample's values, shape (n,)."""
    images = images.detach().requires_grad_()
    scores = batch.score(images, labels)[:, 0]
    (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradients.float().flatten(1).square().sum(1)


class GradientPenalty(Stabilizer, ABC):
    """Weight times a function of the gradient's norm, at places of its own.

    Args:
        weight: of the penalty beside E[fakes] + E[reals], as in the papers. Where the discriminator pays the mean over
            both, it pays half of each.
        interval: paid every so many steps, times as much (lazy regularization, Karras et al. 2020, section 3.1, who
            also adapt Adam's rate and betas; here they stay as they are).
    """

    name: str

    def __init__(self, weight: Weight, interval: PositiveInt = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def attach(self, gan: GAN) -> None:
        if any(isinstance(module, BATCH_NORMS) for module in gan.discriminator.modules()):
            raise InputError(
                f"stabilize.{self.name} is about the gradient of each sample's score, but this discriminator's "
                "BatchNorm mixes the samples of a batch: use one without it, such as model=dcgan's, or spectral_norm"
            )

    def penalties(self, batch: PlayerBatch, random: Streams) -> dict[str, Tensor]:
        if random.step % self.interval:
            return {}
        return {self.name: self.weight * self.interval * self.penalty(batch, random)}

    @abstractmethod
    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        """One value per sample, before the weight."""


class R1(GradientPenalty):
    """weight / 2 ||grad D(x)||² at real samples (Mescheder et al. 2018, equation 9; 10 as in their section 6)."""

    name = "r1"

    def __init__(self, weight: Weight = 10.0, interval: PositiveInt = 1) -> None:
        super().__init__(weight, interval)

    @override
    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        return squared_norms(batch, batch.real.images, batch.real.labels) / 2


class R2(GradientPenalty):
    """weight / 2 ||grad D(x)||² at generated samples (Mescheder et al. 2018, equation 10)."""

    name = "r2"

    def __init__(self, weight: Weight = 10.0, interval: PositiveInt = 1) -> None:
        super().__init__(weight, interval)

    @override
    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        return squared_norms(batch, batch.fake.images, batch.fake.labels) / 2


class WGANGP(GradientPenalty):
    """weight (||grad D(x)|| - target)² between real and generated samples (Gulrajani et al. 2017, equation 3).

    The place of each pair is uniform on the line between them. Defaults: their algorithm 1.
    """

    name = "wgan_gp"

    def __init__(self, weight: Weight = 10.0, target: NonNegativeFloat = 1.0, interval: PositiveInt = 1) -> None:
        super().__init__(weight, interval)
        self.target = target

    def attach(self, gan: GAN) -> None:
        super().attach(gan)
        require_room_for(self.target, gan, self.name)
        if getattr(gan.objective, "bounded", False):
            raise InputError(
                "stabilize.wgan_gp asks for a critic of slope 1, which the sigmoid of objective=wasserstein_bounded "
                "rules out: use objective=wasserstein"
            )

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        real, fake = batch.real.images, batch.fake.images
        share = torch.rand(per_sample(real), generator=random("wgan_gp"), device=real.device, dtype=real.dtype)
        between = torch.lerp(fake.detach().to(real.dtype), real, share)
        return (_norms(batch, between, batch.real) - self.target).square()


class DRAGAN(GradientPenalty):
    """weight (||grad D(x + noise)|| - target)² around real samples (Kodali et al. 2017, equation 1, algorithm 1).

    The noise is uniform on [0, 1] times half of the batch's standard deviation, as in the authors' code, and so are the
    defaults.
    """

    name = "dragan"

    def __init__(
        self,
        weight: Weight = 10.0,
        target: NonNegativeFloat = 1.0,
        spread: PositiveFloat = 0.5,
        interval: PositiveInt = 1,
    ) -> None:
        super().__init__(weight, interval)
        self.target = target
        self.spread = spread

    def attach(self, gan: GAN) -> None:
        super().attach(gan)
        require_room_for(self.target, gan, self.name)

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        real = batch.real.images
        noise = torch.rand(real.shape, generator=random("dragan"), device=real.device)
        share = torch.rand(per_sample(real), generator=random("dragan"), device=real.device)
        around = real + share * self.spread * real.std(correction=0) * noise
        return (_norms(batch, around, batch.real) - self.target).square()


def require_room_for(slope: float, gan: GAN, name: str) -> None:
    """Refuse weights that are kept too small for a slope to be reached."""
    if slope > 0 and any(isinstance(other, WeightClipping) for other in gan.stabilizers):
        raise InputError(
            f"stabilize=[weight_clipping,{name}]: both bound the critic's slope, and weights that are clipped never "
            f"reach the slope that stabilize.{name}.target asks for: use one of them"
        )


def per_sample(images: Tensor) -> tuple[int, ...]:
    """The shape of one number for each sample, which broadcasts over the samples' values."""
    return len(images), *[1] * (images.ndim - 1)


def _norms(batch: PlayerBatch, images: Tensor, labelled: Samples) -> Tensor:
    # the root's slope is infinite at 0
    return (squared_norms(batch, images, labelled.labels) + 1e-12).sqrt()
