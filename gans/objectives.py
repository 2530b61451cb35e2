"""Objectives: what each player minimizes, as a function of the discriminator's scores.

Discriminators return scores without output activation. Objectives that are defined by D(x) = sigmoid(score) are
computed from the score itself, which is the same formula in a numerically stable form.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.errors import InputError
from gans.update import ScoredBatch


@dataclass(frozen=True)
class Objective(ABC):
    """A loss for each player.

    ``real_target`` and ``fake_target`` are the discriminator's targets for real and fake samples. Label stabilizers
    alter them. The generator's target is always the unaltered ``real_target``.
    """

    real_target: float = 1.0
    fake_target: float = 0.0

    def __post_init__(self) -> None:
        usual = type(self).real_target, type(self).fake_target
        if not self.has_targets and (self.real_target, self.fake_target) != usual:
            raise InputError(f"objective: {type(self).__name__} has no targets: leave out real_target and fake_target")
        if self.real_target == self.fake_target:
            raise InputError(f"objective: real_target and fake_target are both {self.real_target:g}: use others")
        swapped = (self.real_target < self.fake_target) != (usual[0] < usual[1])
        if swapped and not self.targets_turn_scores:
            raise InputError(
                f"objective: real_target={self.real_target:g} must be {'above' if usual[0] > usual[1] else 'below'} "
                f"fake_target={self.fake_target:g} for {type(self).__name__}, which counts scores "
                f"{'above' if self.sign_of_real > 0 else 'below'} 0 as real"
            )

    @abstractmethod
    def discriminator(self, batch: ScoredBatch) -> Tensor:
        """The discriminator's loss for each sample of its batch, or for each pair if ``compares_pairs``, shape (n,)."""

    def generator(self, batch: ScoredBatch) -> Tensor:
        """The generator's loss for each sample or pair, shape (n,). Default: the discriminator's formula."""
        return self.discriminator(batch)

    compares_pairs: ClassVar[bool] = False
    """Whether the loss compares each fake with a real, so that the generator's batch has reals too."""
    has_targets: ClassVar[bool] = True
    """Whether the loss depends on the samples' targets. If not, label stabilizers are refused."""
    targets_turn_scores: ClassVar[bool] = False
    """Whether swapped targets swap which scores count as real, too."""
    scores_are_log_ratios: ClassVar[bool] = False
    """Whether the best discriminator's score is log p(x) / q(x), up to a constant; p: data, q: generated."""

    @property
    def undecided_score(self) -> float:
        """The score of a sample that may as well be real as fake."""
        return 0.0

    @property
    def has_bounded_scores(self) -> bool:
        """Whether the loss passes the scores through a bounded function, which rules out steep slopes."""
        return False

    @property
    def has_absolute_scores(self) -> bool:
        """Whether one score alone says "real" or "fake". If not, only differences between scores have a meaning."""
        return True

    def predicts_real(self, scores: Tensor) -> Tensor:
        """Which samples the discriminator classifies as real, bool, shape (n,): D(x) > 1/2."""
        return scores > 0

    @property
    def sign_of_real(self) -> int:
        """1 if a higher score is more real, else -1."""
        low, high = self.predicts_real(torch.tensor([-1e3, 1e3])).tolist()
        return int(high) - int(low)


@dataclass(frozen=True)
class BinaryCrossEntropy(Objective):
    """The non-saturating GAN: -t log D(x) - (1 - t) log(1 - D(x)), with t = 1 for real and 0 for fake.

    Goodfellow et al. 2014, section 3: the generator maximizes log D(G(z)). The formula holds for targets outside [0, 1]
    too, which label smoothing with U(-0.1, 0.1) makes.
    """

    scores_are_log_ratios = True

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return F.binary_cross_entropy_with_logits(batch.scores, batch.targets, reduction="none")


@dataclass(frozen=True)
class Minimax(BinaryCrossEntropy):
    """Cross-entropy for the discriminator, log(1 - D(G(z))) for the generator (Goodfellow et al. 2014, equation 1).

    This is the zero-sum game. The generator learns slowly while the discriminator is confident.
    """

    def generator(self, batch: ScoredBatch) -> Tensor:
        return -F.softplus(batch.scores)


@dataclass(frozen=True)
class LeastSquares(Objective):
    """(D(x) - t)² / 2, with t = 1 for real and 0 for fake (Mao et al. 2017, equation 9). D(x) is the score itself."""

    targets_turn_scores = True

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return (batch.scores - batch.targets).square() / 2

    @property
    def undecided_score(self) -> float:
        return (self.real_target + self.fake_target) / 2

    def predicts_real(self, scores: Tensor) -> Tensor:
        """The score is closer to the real target than to the fake target."""
        return (scores - self.real_target).abs() < (scores - self.fake_target).abs()


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
    """-log sigmoid(D(real) - D(fake)) for the discriminator, -log sigmoid(D(fake) - D(real)) for the generator.

    RpGAN (Jolicoeur-Martineau 2019, which calls it RSGAN; equations 11 and 12), used by R3GAN (Huang et al. 2024,
    equation 2). There is one loss for each pair. Only differences of scores matter, so targets are not used.
    """

    compares_pairs = True
    has_targets = False
    scores_are_log_ratios = True

    @property
    def has_absolute_scores(self) -> bool:
        return False

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return F.softplus(self._fake_minus_real(batch))

    def generator(self, batch: ScoredBatch) -> Tensor:
        return F.softplus(-self._fake_minus_real(batch))

    def predicts_real(self, scores: Tensor) -> Tensor:
        """The score is above the mean of all scores."""
        return scores > scores.mean()

    @staticmethod
    def _fake_minus_real(batch: ScoredBatch) -> Tensor:
        fake, real = batch.scores_by_kind
        return fake - real


@dataclass(frozen=True)
class MeanSquaredLogarithmicError(BinaryCrossEntropy):
    """Cross-entropy for the discriminator, (log 2 - log(1 + D(G(z))))² for the generator.

    The generator's loss is Keras's ``mean_squared_logarithmic_error`` between 1 and D(G(z)). It lies in [0, log(2)²].
    """

    def generator(self, batch: ScoredBatch) -> Tensor:
        # (1 + D) / 2 = 1 - sigmoid(-score) / 2 is more accurate if D is close to 1
        return torch.log1p(-torch.sigmoid(-batch.scores) / 2).square()


@dataclass(frozen=True)
class Wasserstein(Objective):
    """mean(target x critic(x)), with target +1 for real and -1 for fake (Arjovsky et al. 2017, equation 2).

    Sign convention: the critic minimizes critic(real) - critic(fake), so it scores reals LOW and fakes HIGH, and the
    generator minimizes critic(fake). The paper's critic is the negative of this one.

    ``bounded=True`` passes the scores through a sigmoid first. The critic's values then lie in [0, 1]: its loss stays
    finite without weight clipping or a gradient penalty, but it no longer estimates the Wasserstein distance.
    """

    real_target: float = 1.0
    fake_target: float = -1.0
    bounded: bool = False

    @property
    def has_absolute_scores(self) -> bool:
        return self.bounded

    @property
    def has_bounded_scores(self) -> bool:
        return self.bounded

    def discriminator(self, batch: ScoredBatch) -> Tensor:
        return batch.targets * (torch.sigmoid(batch.scores) if self.bounded else batch.scores)

    def predicts_real(self, scores: Tensor) -> Tensor:
        """The score is below 0: reals score low. Of a bounded critic, that is a value below 1/2."""
        return scores < 0
