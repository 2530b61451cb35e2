"""Penalties on the discriminator's scores themselves."""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from gans.randomness import Streams
from gans.stabilize.base import StabilizedGAN, Stabilizer
from gans.stabilize.inputs import Augmentations, Policy
from gans.update import PlayerBatch, Samples, Terms, pack, unpack


class LeCam(Stabilizer):
    """weight (E[(D(real) - a_fake)²] + E[(D(fake) - a_real)²]), with anchors a (Tseng et al. 2021, equation 5).

    The anchors are exponential moving averages of the scores of fakes and of reals: a <- decay a + (1 - decay) mean(D),
    beginning with the first step's mean. Real scores are drawn to the fakes' anchor and fake scores to the reals', so
    that they do not drift apart. Defaults: the authors' for CIFAR, whose code also begins after 1,000 steps and leaves
    out scores beyond the other kind's anchor; the paper does not.
    """

    anchors: Tensor

    def __init__(self, weight: PositiveFloat = 0.3, decay: Annotated[float, Field(ge=0, lt=1)] = 0.99) -> None:
        super().__init__()
        self.weight = weight
        self.decay = decay
        self.register_buffer("anchors", torch.zeros(2))  # of fakes, of reals

    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        fake, real = batch.scored().scores_by_kind
        with torch.no_grad():
            means = torch.stack((fake.mean(), real.mean())).to(self.anchors.dtype)
            self.anchors.lerp_(means, 1.0 if random.step == 0 else 1 - self.decay)
        of_fakes, of_reals = self.anchors
        return {"lecam": self.weight * ((real - of_fakes).square() + (fake - of_reals).square())}


class BalancedConsistency(Augmentations):
    """bCR: real_weight (D(x) - D(T(x)))² of reals x, fake_weight the same of fakes (Zhao et al. 2021, algorithm 1).

    T is an augmentation, of which the generator sees nothing. "Improved consistency regularization for GANs". Defaults:
    the paper's weights for CIFAR, and its shift by up to an eighth of the size; digits can't be flipped. A
    discriminator with dropout has other masks for x and for T(x).
    """

    name = "bcr"

    def __init__(
        self, real_weight: NonNegativeFloat = 10.0, fake_weight: NonNegativeFloat = 10.0, policy: Policy | None = None
    ) -> None:
        super().__init__(["translation"] if policy is None else policy)
        self.real_weight = real_weight
        self.fake_weight = fake_weight
        self.members = 1

    def attach(self, gan: StabilizedGAN) -> None:
        super().attach(gan)
        self.members = gan.stabilizers.pack_size

    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        fake, real = (self.augmented(samples, random) for samples in (batch.fake, batch.real))
        augmented = PlayerBatch(batch.score, fake, real, batch.separate_forward).forward()
        changes = zip(batch.scored().scores_by_kind, augmented.scores_by_kind, strict=True)
        of_fakes, of_reals = ((before - after).square() for before, after in changes)
        return {"bcr": self.real_weight * of_reals + self.fake_weight * of_fakes}

    def augmented(self, samples: Samples, random: Streams) -> Samples:
        """The samples with augmented images; members of a pack are augmented each by itself."""
        images = self.augment_in_range(unpack(samples.images, self.members), random)
        return samples._replace(images=pack(images, self.members))
