"""Stabilizers that alter what the discriminator sees, real and fake alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from gans.errors import InputError
from gans.randomness import Streams
from gans.stabilize.base import Stabilizer
from gans.update import ScoredBatch

if TYPE_CHECKING:
    from gans.gan import GAN


class InstanceNoise(Stabilizer):
    """Adds N(0, deviation²), which falls linearly to nothing over the first ``steps`` training steps.

    Sønderby et al. 2017, section 4, who anneal it from 0.1 linearly. In units of the GAN's pixel range.

    Args:
        steps: null for noise that stays.
    """

    def __init__(self, deviation: PositiveFloat = 0.1, steps: PositiveInt | None = 10_000) -> None:
        super().__init__()
        self.deviation = deviation
        self.steps = steps

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        left = 1.0 if self.steps is None else max(0.0, 1 - random.step / self.steps)
        if left == 0:
            return images
        noise = torch.randn(images.shape, generator=random("instance_noise"), device=images.device)
        return images + left * self.deviation * noise


Augmentation = Literal["brightness", "contrast", "translation", "cutout"]
Policy = Annotated[list[Augmentation], Field(min_length=1)]


class Augmentations(Stabilizer, ABC):
    """What augments images: in [-1, 1] as in the papers, whatever range the GAN's pixels have."""

    name: str

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__()
        self.policy = ["brightness", "contrast", "translation", "cutout"] if policy is None else policy
        self.pixel_range = (-1.0, 1.0)

    def attach(self, gan: GAN) -> None:
        if gan.generator.makes_points:
            raise InputError(
                f"stabilize.{self.name} augments images, and {type(gan.generator).__name__} makes points: "
                "use stabilize=instance_noise"
            )
        self.pixel_range = gan.generator.pixel_range

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        if self.pixel_range == (-1, 1):
            return self.augment(images, random(self.name))
        low, high = self.pixel_range
        augmented = self.augment((2 * images - (high + low)) / (high - low), random(self.name))
        return (augmented * (high - low) + (high + low)) / 2

    @abstractmethod
    def augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Images in [-1, 1], augmented; the same shape."""


class DiffAugment(Augmentations):
    """Random differentiable augmentations of all that the discriminator sees (Zhao et al. 2020, equations 4 to 6).

    Their policy without the color of three channels: brightness + U(-1/2, 1/2); contrast, the distance from the image's
    mean times U(1/2, 3/2); translation by up to an eighth of the size, zeros moving in; cutout of a square of half the
    size, set to zero. All of this in [-1, 1], where zero is grey.
    """

    name = "diff_augment"

    def augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        for name in self.policy:
            images = AUGMENTATIONS[name](images, random)
        return images


class AdaptiveAugmentation(Augmentations):
    """DiffAugment's augmentations, each on each image with a probability that follows the discriminator (ADA).

    Karras et al. 2020, "Training generative adversarial networks with limited data", section 3.1: the probability
    rises while more than ``target`` of the verdicts on real samples are "real" rather than "fake" (the difference of
    both shares, r_t), and falls otherwise. Their augmentations are more; these are those that suit digits.

    Args:
        target: of r_t; the default is theirs, and so are the next two.
        ramp: over so many real samples the probability rises from 0 to 1 if it only rises.
        interval: training steps between two adjustments.
    """

    name = "adaptive_augmentation"
    probability: Tensor
    verdicts: Tensor

    def __init__(
        self,
        target: Annotated[float, Field(ge=-1, le=1)] = 0.6,
        ramp: PositiveInt = 500_000,
        interval: PositiveInt = 4,
        policy: Policy | None = None,
    ) -> None:
        super().__init__(policy)
        self.target = target
        self.ramp = ramp
        self.interval = interval
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("verdicts", torch.zeros(()))  # the sum of r_t since the last adjustment

    def attach(self, gan: GAN) -> None:
        super().attach(gan)
        if not gan.objective.has_absolute_scores:
            raise InputError(
                "stabilize.adaptive_augmentation follows how many reals are taken for real, and scores of "
                f"{type(gan.objective).__name__} do not say that, they compare: use stabilize=diff_augment, or another "
                "objective, such as objective=bce"
            )

    def augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        for name in self.policy:
            chosen = _uniform(images, random) < self.probability
            images = torch.where(chosen, AUGMENTATIONS[name](images, random), images)
        return images

    @torch.no_grad()
    def after_discriminator(self, gan: GAN, batches: list[ScoredBatch]) -> None:
        believed = torch.cat([gan.objective.predicts_real(batch.scores)[len(batch.fake.images) :] for batch in batches])
        self.verdicts += (2 * believed.float() - 1).mean()
        gan.means.add({"augmentation_probability": self.probability.clone()}, weight=len(believed))
        if (gan.training_steps + 1) % self.interval == 0:
            step = self.interval * len(believed) * gan.stabilizers.pack_size / self.ramp
            self.probability += step * (self.verdicts / self.interval - self.target).sign()
            self.probability.clamp_(0, 1)
            self.verdicts.zero_()


def brightness(images: Tensor, random: torch.Generator) -> Tensor:
    return images + _uniform(images, random) - 0.5


def contrast(images: Tensor, random: torch.Generator) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (_uniform(images, random) + 0.5)


def translation(images: Tensor, random: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    most = [max(1, round(size / 8)) for size in (height, width)]
    padded = F.pad(images, (most[1], most[1], most[0], most[0]))
    row, column = (
        torch.randint(0, 2 * most[axis] + 1, (count, 1), generator=random, device=images.device)
        + torch.arange(size, device=images.device)
        for axis, size in enumerate((height, width))
    )
    samples = torch.arange(count, device=images.device)[:, None, None]
    return padded[samples, :, row[:, :, None], column[:, None, :]].movedim(3, 1)


def cutout(images: Tensor, random: torch.Generator) -> Tensor:
    inside = []
    for size in images.shape[2:]:
        length = size // 2
        centre = torch.randint(0, size + 1, (len(images), 1), generator=random, device=images.device)
        distance = torch.arange(size, device=images.device) - centre + length // 2
        inside.append((distance >= 0) & (distance < length))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hole, 0.0)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "brightness": brightness,
    "contrast": contrast,
    "translation": translation,
    "cutout": cutout,
}


def _uniform(images: Tensor, random: torch.Generator) -> Tensor:
    return torch.rand((len(images), 1, 1, 1), generator=random, device=images.device)
