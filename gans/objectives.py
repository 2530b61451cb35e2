"""The games: what each player pays for the discriminator's scores.

Discriminators return scores without an output activation. An objective that speaks of D(x) = sigmoid(score) works on
the score itself, in a form that neither overflows nor loses digits, and equals the formula in its docstring.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.update import ScoredBatch


@dataclass(frozen=True)
class Objective(ABC):
    """A game between the two players.

    ``real_target`` and ``fake_target`` are what the discriminator is told about real and fake samples. Label
    stabilizers alter them; the generator's target is always the unaltered ``real_target``.
    """

    real_target: float = 1.0
    fake_target: float = 0.0

    @abstractmethod
    def discriminator(self, batch: ScoredBatch) -> Tensor:
        """The discriminator's loss for each sample of its batch, shape (n,)."""

    @abstractmethod
    def generator(self, batch: ScoredBatch) -> Tensor:
        """The generator's loss for each sample of its batch, shape (n,)."""

    compares_pairs: ClassVar[bool] = False
    """Whether it compares each fake with a real, so that the generator's batch has reals too."""
    has_targets: ClassVar[bool] = True
    """Whether what the discriminator is told about a sample matters. Where not, label stabilizers mean nothing."""

    @property
    def has_absolute_scores(self) -> bool:
        """Whether a sample's score tells by itself if it is taken for real, and not only beside other scores."""
        return True

    def predicts_real(self, scores: Tensor) -> Tensor:
        """Which samples a discriminator with these scores takes for real, bool, shape (n,): D(x) > 1/2."""
        return scores > 0


@dataclass(frozen=True)
class BinaryCrossEntropy(Objective):
    """The non-saturating GAN: -t log D(x) - (1 - t) log(1 - D(x)), with t = 1 for real and 0 for fake.

    Goodfellow et al. 2014, section 3 (the generator maximizes log D(G(z))). Targets outside [0, 1], as label smoothing
    with U(-0.1, 0.1) makes them, are inserted in the same formula.
    """

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return F.binary_cross_entropy_with_logits(batch.scores, batch.targets, reduction="none")

    def generator(self, batch: ScoredBatch) -> Tensor:
        return F.binary_cross_entropy_with_logits(batch.scores, batch.targets, reduction="none")


@dataclass(frozen=True)
class Minimax(BinaryCrossEntropy):
    """Cross-entropy for the discriminator, log(1 - D(G(z))) for the generator (Goodfellow et al. 2014, equation 1).

    The zero-sum game itself: its generator learns slowly while the discriminator is sure.
    """

    def generator(self, batch: ScoredBatch) -> Tensor:
        return -F.softplus(batch.scores)


@dataclass(frozen=True)
class LeastSquares(Objective):
    """(D(x) - t)² / 2, with t = 1 for real and 0 for fake (Mao et al. 2017, equation 9). D(x) is the score itself."""

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return (batch.scores - batch.targets).square() / 2

    def generator(self, batch: ScoredBatch) -> Tensor:
        return (batch.scores - batch.targets).square() / 2

    def predicts_real(self, scores: Tensor) -> Tensor:
        """The score is closer to the real target than to the fake one."""
        return scores > 0.5


@dataclass(frozen=True)
class Hinge(Objective):
    """max(0, 1 - t D(x)) for the discriminator, with t = 1 for real and -1 for fake; -D(G(z)) for the generator.

    Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    """

    real_target: float = 1.0
    fake_target: float = -1.0

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return F.relu(1 - batch.targets * batch.scores)

    def generator(self, batch: ScoredBatch) -> Tensor:
        return -batch.scores


@dataclass(frozen=True)
class RelativisticPairing(Objective):
    """-log sigmoid(D(real) - D(fake)) for the discriminator, the opposite for the generator, one loss for each pair.

    RpGAN (Jolicoeur-Martineau 2019, equations 11 and 12), the game of R3GAN (Huang et al. 2024, equation 2). Only
    differences of scores count, so that no sample has a target.
    """

    compares_pairs = True
    has_targets = False

    @property
    def has_absolute_scores(self) -> bool:
        return False

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return F.softplus(self._lead_of_fakes(batch))

    def generator(self, batch: ScoredBatch) -> Tensor:
        return F.softplus(-self._lead_of_fakes(batch))

    def predicts_real(self, scores: Tensor) -> Tensor:
        """The score is above the middle of those it is compared with."""
        return scores > scores.mean()

    @staticmethod
    def _lead_of_fakes(batch: ScoredBatch) -> Tensor:
        fake, real = batch.scores.split((len(batch.fake.images), len(batch.real.images)))
        return fake - real


@dataclass(frozen=True)
class MeanSquaredLogarithmicError(BinaryCrossEntropy):
    """Cross-entropy for the discriminator, (log 2 - log(1 + D(G(z))))² for the generator.

    The generator's loss is Keras's ``mean_squared_logarithmic_error`` between 1 and D(G(z)). It lies in [0, log(2)²].
    """

    def generator(self, batch: ScoredBatch) -> Tensor:
        # (1 + D) / 2 = 1 - sigmoid(-score) / 2, which keeps its digits where D is close to 1
        return torch.log1p(-torch.sigmoid(-batch.scores) / 2).square()


@dataclass(frozen=True)
class Wasserstein(Objective):
    """mean(target x critic(x)), with target +1 for real and -1 for fake (Arjovsky et al. 2017, equation 2).

    The sign convention, stated here once: the critic minimizes critic(real) - critic(fake), so it scores reals LOW and
    fakes HIGH, and the generator minimizes critic(fake). The paper's critic is the negative of this one.

    ``bounded=True`` passes the scores through a sigmoid first: a critic with values in [0, 1], which needs neither
    weight clipping nor a gradient penalty to keep its loss finite, but no longer estimates the Wasserstein distance.
    """

    real_target: float = 1.0
    fake_target: float = -1.0
    bounded: bool = False

    @property
    def has_absolute_scores(self) -> bool:
        return self.bounded

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return batch.targets * self._critic(batch.scores)

    def generator(self, batch: ScoredBatch) -> Tensor:
        return batch.targets * self._critic(batch.scores)

    def predicts_real(self, scores: Tensor) -> Tensor:
        """The critic's value is below the middle of its range (below 0 if it has no bounds)."""
        return scores < 0

    def _critic(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores) if self.bounded else scores
