"""What the generator pays in place of the objective."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
import torch
from torch import nn

from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.dirac import DiracDiscriminator, DiracGenerator
from gans.objectives import Wasserstein
from gans.randomness import Streams
from gans.stabilize import Stabilizers
from gans.stabilize.base import StabilizedGAN
from gans.stabilize.generator_losses import FeatureMatching, TopK, Unrolling, move_of
from gans.update import PlayerBatch, ScoredBatch, Terms
from tests.training import OBJECTIVES, gan_of, points_gan, random_points, tiny_batches, tiny_gan, train


def stream(step: int = 0) -> Streams:
    return Streams(0, "train", step)


def test_feature_matching_is_the_distance_of_mean_features() -> None:
    gan = points_gan(FeatureMatching())
    body = nn.Sequential(*list(gan.discriminator.get_submodule("layers").children())[:-1])
    whole = gan.discriminator_batch(random_points(), stream())
    batch = gan.generator_batch(random_points(), stream(1)).forward()
    terms = gan.stabilizers.generator_terms(gan, {"adversarial": batch.scores, "class": batch.scores}, batch, whole)
    difference = body(batch.fake.images).mean(0) - body(whole.real.images).mean(0)
    assert list(terms) == ["feature_matching", "class"]
    assert terms["feature_matching"].shape == (8,)
    torch.testing.assert_close(terms["feature_matching"].mean(), difference.square().sum(), rtol=1e-4, atol=0)

    means = train(gan, [random_points()]).means.pop()
    assert means["generator_loss"] == pytest.approx(means["generator_feature_matching"])


def test_feature_matching_asks_nothing_of_fakes_that_are_the_reals() -> None:
    gan = points_gan(FeatureMatching())
    whole = gan.discriminator_batch(random_points(), stream())
    reals = whole.real._replace(images=whole.real.images.flip(0))
    batch = PlayerBatch(whole.score, reals, reals.first(0), False).forward()
    term = gan.stabilizers.generator_terms(gan, {}, batch, whole)["feature_matching"]
    assert term.max().item() == pytest.approx(0, abs=1e-6)


# --- top-k ------------------------------------------------------------------------------------------------------------


def test_k_falls_from_the_whole_batch_to_its_last_share() -> None:
    top_k = TopK(decay=0.8, interval=10, final=0.3)
    counts = [top_k.count(10, step) for step in range(200)]
    assert [counts[step] for step in (0, 9, 10, 19, 20, 30, 60, 199)] == [10, 10, 8, 8, 7, 6, 3, 3]
    assert counts == sorted(counts, reverse=True)
    assert TopK(final=0.1).count(30, 10**6) == 3
    assert TopK().count(1, 10**6) == 1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_fakes_that_the_discriminator_finds_most_real_are_learned_from(objective: str) -> None:
    """Also by a critic that scores reals low, and by one that compares pairs."""
    gan = tiny_gan(objective, ["top_k"], {"top_k.interval": 1, "top_k.decay": 0.4, "top_k.final": 0.3})
    gan.training_steps = 1
    data = tiny_batches(1)[0]
    batch = gan.generator_batch(data, stream()).forward()
    made = batch.fake.images
    made.retain_grad()
    whole = gan.discriminator_batch(data, stream())
    terms = gan.stabilizers.generator_terms(gan, gan.generator_terms(batch), batch, whole)
    assert terms["adversarial"].shape == (2,)
    terms["adversarial"].sum().backward()
    assert made.grad is not None
    learned = made.grad.flatten(1).any(1)
    scores = batch.scores[: len(made)].detach()
    best = scores.argsort(descending=not objective.startswith("wasserstein"))[:2]
    assert learned.nonzero()[:, 0].tolist() == sorted(best.tolist())


# --- unrolling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("updates", "move"), [("joint", 0.5), ("alternating", 1.0)])
@pytest.mark.parametrize("steps", [1, 3])
def test_unrolling_goes_through_the_discriminators_answer(
    steps: int, updates: Literal["joint", "alternating"], move: float
) -> None:
    """D(x) = psi x, the Wasserstein objective, gradient descent of rate r: each step moves psi by r theta / 2, or, if
    the mean over the fakes has an update of its own, by r theta.

    After D's own step, the generator's slope is psi + k r theta, or psi + 2 k r theta; without the gradient through the
    k unrolled steps it would be psi + k r theta / 2, or psi + k r theta.
    """
    theta, psi, rate, step = 0.8, 0.3, 0.25, 0.1
    optimizers = partial(torch.optim.SGD, lr=step), partial(torch.optim.SGD, lr=rate)
    stabilizers = Stabilizers({"it": Unrolling(steps)})
    gan = GAN(DiracGenerator(theta), DiracDiscriminator(psi), Wasserstein(), stabilizers, *optimizers,
              discriminator_updates=updates)  # fmt: skip
    train(gan, [Batch(torch.zeros(1, 1), torch.zeros(1).long())])
    psi += move * rate * theta
    assert gan.discriminator.get_parameter("psi").item() == pytest.approx(psi, rel=1e-5)
    moved = gan.generator.get_parameter("theta").item()
    assert moved == pytest.approx(theta - step * (psi + 2 * move * steps * rate * theta), rel=1e-5)


@pytest.mark.parametrize("make", [partial(torch.optim.Adam, betas=(0.0, 0.9)), partial(torch.optim.RMSprop, alpha=0.9)])
def test_an_unrolled_step_is_the_optimizers_own(make: Callable[..., torch.optim.Optimizer]) -> None:
    """After many equal slopes it moves each weight by the learning rate, as the optimizer does, and never further."""
    weight = nn.Parameter(torch.zeros(3))
    optimizer = make([weight], lr=0.01)
    slope = torch.tensor([1e-3, -2.0, 50.0])
    for _ in range(200):
        weight.grad = slope.clone()
        before = weight.detach().clone()
        optimizer.step()
    move = move_of(optimizer, weight)
    torch.testing.assert_close(before - weight, move(slope), rtol=1e-3, atol=0)
    assert move(100 * slope).abs().tolist() == pytest.approx([0.01] * 3, rel=1e-3)
    assert move(slope / 2).tolist() == pytest.approx((move(slope) / 2).tolist(), rel=1e-4)


class Watched(Unrolling):
    """Sees whether the discriminator is left as it was, and how much the unrolled steps change."""

    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        before = copy.deepcopy(gan.discriminator.state_dict())
        found = super().generator_terms(gan, terms, batch, discriminator_batch)
        self.kept = all(torch.equal(before[name], now) for name, now in gan.discriminator.state_dict().items())
        self.change = (found["adversarial"] - terms["adversarial"]).abs().mean().item()
        return found


def test_unrolling_leaves_the_discriminator_as_it_is_and_matters() -> None:
    """Also the moving averages of a discriminator with BatchNorm."""
    gan, watched = gan_of("stacked_small", changes={"model.discriminator_optimizer.lr": 0.01}), Watched(2)
    gan.stabilizers.named["watched"] = watched
    images = torch.rand(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    train(gan, [Batch(images, torch.zeros(4).long())])
    assert watched.kept
    assert watched.change > 0.01
