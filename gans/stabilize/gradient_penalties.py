"""Penalties on the gradient of the discriminator's score with respect to its inputs."""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gans.errors import InputError
from gans.randomness import Streams
from gans.stabilize.base import StabilizedGAN, Stabilizer, refuse_beside
from gans.stabilize.weights import WeightClipping
from gans.update import PlayerBatch, Terms

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Weight = Annotated[float, Field(gt=0)]


def squared_norms(batch: PlayerBatch, images: Tensor, labels: Tensor) -> Tensor:
    """The squared norm of the score's gradient with respect to each sample, shape (n,), float32."""
    images = images.detach().requires_grad_()
    scores = batch.score(images, labels)[:, 0]
    (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradients.float().flatten(1).square().sum(1)


class GradientPenalty(Stabilizer, ABC):
    """A weighted function of the gradient's norm at certain samples.

    Args:
        weight: factor of the penalty, added to E[fakes] + E[reals] as in the papers. If the discriminator's loss is
            the mean over both, it takes half of each penalty.
        interval: the penalty is computed every ``interval`` steps and multiplied by it (lazy regularization, Karras et
            al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 3.1, who also adapt Adam's
            learning rate and betas; here these do not change).
    """

    name: str

    def __init__(self, weight: Weight = 10.0, interval: PositiveInt = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def attach(self, gan: StabilizedGAN) -> None:
        if any(isinstance(module, BATCH_NORMS) for module in gan.discriminator.modules()):
            raise InputError(
                f"stabilize.{self.name} needs the gradient of each sample's score, but this discriminator's "
                "BatchNorm mixes the samples of a batch: use model=dcgan, whose discriminator has none, or "
                "stabilize=spectral_norm"
            )

    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        if random.step % self.interval:
            return {}
        return {self.name: self.weight * self.interval * self.penalty(batch, random)}

    @abstractmethod
    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        """The penalty without its weight, one value per sample."""


class R1(GradientPenalty):
    """weight / 2 ||grad D(x)||² at real samples (Mescheder et al. 2018, equation 9; default: their section 6)."""

    name = "r1"

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        return squared_norms(batch, batch.real.images, batch.real.labels) / 2


class R2(GradientPenalty):
    """weight / 2 ||grad D(x)||² at fake samples (Mescheder et al. 2018, equation 10)."""

    name = "r2"

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        return squared_norms(batch, batch.fake.images, batch.fake.labels) / 2


class WGANGP(GradientPenalty):
    """weight (||grad D(x)|| - target)² between real and fake samples (Gulrajani et al. 2017, equation 3).

    x is uniform on the line between a real and a fake sample. Defaults: the paper's algorithm 1.
    """

    name = "wgan_gp"

    def __init__(self, weight: Weight = 10.0, target: NonNegativeFloat = 1.0, interval: PositiveInt = 1) -> None:
        super().__init__(weight, interval)
        self.target = target

    def attach(self, gan: StabilizedGAN) -> None:
        super().attach(gan)
        refuse_clipping(gan, self.name, self.target)
        if self.target > 0 and gan.objective.has_bounded_scores:
            raise InputError(
                "stabilize.wgan_gp needs a critic with gradient norm 1, which the sigmoid of "
                "objective=wasserstein_bounded rules out: use objective=wasserstein"
            )

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        real, fake = batch.real.images, batch.fake.images
        share = torch.rand(per_sample(real), generator=random("wgan_gp"), device=real.device, dtype=real.dtype)
        between = torch.lerp(fake.detach().to(real.dtype), real, share)
        return (norms(batch, between) - self.target).square()


class DRAGAN(GradientPenalty):
    """weight (||grad D(x + noise)|| - target)² around real samples (Kodali et al. 2017, equation 1, algorithm 1).

    The noise of a value is U(0, 1), times a factor U(0, 1) of its sample, times ``spread`` standard deviations of the
    batch. Noise and defaults: the authors' code.
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

    def attach(self, gan: StabilizedGAN) -> None:
        super().attach(gan)
        refuse_clipping(gan, self.name, self.target)

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        real = batch.real.images
        noise = torch.rand(real.shape, generator=random("dragan"), device=real.device)
        share = torch.rand(per_sample(real), generator=random("dragan"), device=real.device)
        around = real + share * self.spread * real.std(correction=0) * noise
        return (norms(batch, around) - self.target).square()


class DigGAN(GradientPenalty):
    """weight (||grad D(real)|| - ||grad D(fake)||)² of pairs of a real and a fake (Fang et al. 2022, section 3).

    It narrows the gap between both gradients, not the gradients themselves. Default: the weight of the authors' code
    for all of CIFAR. There it acts more weakly: in one of four updates of the discriminator, and on the average of each
    norm with that of the step before. With fewer images they use up to 10,000, and with DiffAugment 10.
    """

    name = "diggan"

    def __init__(self, weight: Weight = 1000.0, interval: PositiveInt = 1) -> None:
        super().__init__(weight, interval)

    def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
        real, fake = (root(squared_norms(batch, each.images, each.labels)) for each in (batch.real, batch.fake))
        return (real - fake).square()


def refuse_clipping(gan: StabilizedGAN, name: str, target: float) -> None:
    """Refuse weight clipping, which keeps the gradient's norm far below a positive target."""
    if target > 0:
        why = f"both bound the critic's gradient, and clipped weights never reach stabilize.{name}.target={target:g}"
        refuse_beside(gan, name, WeightClipping, why)


def per_sample(images: Tensor) -> tuple[int, ...]:
    """The shape (n, 1, 1, ...) of one number per sample."""
    return len(images), *[1] * (images.ndim - 1)


def norms(batch: PlayerBatch, images: Tensor) -> Tensor:
    """The norm of the score's gradient with respect to each image, shape (n,); the labels are those of the reals."""
    return root(squared_norms(batch, images, batch.real.labels))


def root(squares: Tensor) -> Tensor:
    """The square root with a finite gradient at 0."""
    return (squares + 1e-12).sqrt()
