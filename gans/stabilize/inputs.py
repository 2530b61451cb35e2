"""Stabilizers that transform the discriminator's inputs, real and fake alike."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from gans.data.pixels import rescale
from gans.errors import InputError
from gans.randomness import Streams
from gans.stabilize.base import StabilizedGAN, Stabilizer
from gans.update import ScoredBatch


class InstanceNoise(Stabilizer):
    """Adds noise N(0, deviation²); the deviation falls linearly to 0 over the first ``steps`` training steps.

    Sønderby et al. 2017, who also anneal it linearly from 0.1.

    Args:
        deviation: in the units of the discriminator's inputs: pixels in [-1, 1] or [0, 1], or coordinates.
        steps: None for constant noise.
    """

    def __init__(self, deviation: PositiveFloat = 0.1, steps: PositiveInt | None = 10_000) -> None:
        super().__init__()
        self.deviation = deviation
        self.steps = steps

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        remaining = 1.0 if self.steps is None else max(0.0, 1 - random.step / self.steps)
        if remaining == 0:
            return images
        noise = torch.randn(images.shape, generator=random("instance_noise"), device=images.device)
        return images + remaining * self.deviation * noise


Policy = Annotated[list[Literal["brightness", "contrast", "translation", "cutout"]], Field(min_length=1)]

AUGMENTED = (-1.0, 1.0)


class Augmentations(Stabilizer):
    """Base class of augmentations, which work on images in [-1, 1] as in the papers, for any pixel range."""

    name: str

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__()
        self.policy = list(AUGMENTATIONS) if policy is None else policy
        self.pixel_range = AUGMENTED

    def attach(self, gan: StabilizedGAN) -> None:
        if gan.generator.makes_points:
            raise InputError(
                f"stabilize.{self.name} augments images, but {type(gan.generator).__name__} makes points: "
                "use stabilize=instance_noise"
            )
        self.pixel_range = gan.generator.pixel_range

    def augment_in_range(self, images: Tensor, random: Streams) -> Tensor:
        """Augment images in the GAN's pixel range; the shape stays the same."""
        augmented = self.augment(rescale(images, self.pixel_range, AUGMENTED), random(self.name))
        return rescale(augmented, AUGMENTED, self.pixel_range)

    def augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Augment images in [-1, 1]; the shape stays the same. Default: all of the policy, in its order."""
        for name in self.policy:
            images = AUGMENTATIONS[name](images, random)
        return images


class DiffAugment(Augmentations):
    """Random differentiable augmentations of all the discriminator's inputs (Zhao et al. 2020, equations 4 to 6).

    The paper's policy without color saturation: brightness adds U(-1/2, 1/2); contrast multiplies the distance from the
    image's mean by U(1/2, 3/2); translation shifts by up to 1/8 of the size and fills with zeros; cutout sets a square
    of half the size to zero. Pixels are in [-1, 1], so zero is grey.
    """

    name = "diff_augment"

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        return self.augment_in_range(images, random)


class AdaptiveAugmentation(Augmentations):
    """DiffAugment's augmentations, each applied to each image with an adaptive probability (ADA).

    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3: r_t is the share of
    real samples classified as real minus the share classified as fake. The probability rises while r_t is above
    ``target``, and falls otherwise. The paper has more augmentations; these suit digits.

    Args:
        target: of r_t. Its default and the next two are the paper's.
        ramp: real samples in which the probability can rise from 0 to 1.
        interval: training steps between two adjustments.
    """

    name = "adaptive_augmentation"
    probability: Tensor
    r_t_sum: Tensor

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
        self.register_buffer("r_t_sum", torch.zeros(()))  # since the last adjustment

    def attach(self, gan: StabilizedGAN) -> None:
        super().attach(gan)
        if not gan.objective.has_absolute_scores:
            raise InputError(
                "stabilize.adaptive_augmentation counts the reals that are classified as real, but scores of "
                f"{type(gan.objective).__name__} only compare samples: use stabilize=diff_augment, or another "
                "objective, such as objective=bce"
            )

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        return self.augment_in_range(images, random)

    def augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        for name in self.policy:
            chosen = _uniform(images, random) < self.probability
            images = torch.where(chosen, AUGMENTATIONS[name](images, random), images)
        return images

    @torch.no_grad()
    def after_discriminator(self, gan: StabilizedGAN, batches: list[ScoredBatch]) -> None:
        correct = torch.cat([gan.objective.predicts_real(batch.scores)[len(batch.fake.images) :] for batch in batches])
        self.r_t_sum += (2 * correct.float() - 1).mean()
        gan.means.add({"augmentation_probability": self.probability.clone()}, weight=len(correct))
        if (gan.training_steps + 1) % self.interval == 0:
            step = self.interval * len(correct) * gan.stabilizers.pack_size / self.ramp
            self.probability += step * (self.r_t_sum / self.interval - self.target).sign()
            self.probability.clamp_(0, 1)
            self.r_t_sum.zero_()


def brightness(images: Tensor, random: torch.Generator) -> Tensor:
    return images + _uniform(images, random) - 0.5


def contrast(images: Tensor, random: torch.Generator) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (_uniform(images, random) + 0.5)


def translation(images: Tensor, random: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    most = [max(1, int(size / 8 + 0.5)) for size in (height, width)]  # halves go up, as in the paper's code
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
