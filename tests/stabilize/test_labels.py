"""Stabilizers of targets against their definitions, under both conventions of targets."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gans.errors import InputError
from gans.objectives import BinaryCrossEntropy, Objective, Wasserstein
from gans.randomness import Streams
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.labels import FixedLabelSmoothing, LabelSmoothing, NoisyLabels
from tests.training import gan_of, points_gan, random_points, scored_batch

objectives = st.sampled_from([BinaryCrossEntropy(), Wasserstein(), Wasserstein(bounded=True)])
counts = st.integers(1, 300)
seeds = st.integers(0, 2**31)


def altered(stabilizer: Stabilizer, objective: Objective, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The targets of so many reals and of as many fakes."""
    targets = torch.full((count,), objective.real_target), torch.full((count,), objective.fake_target)
    return stabilizer.transform_targets(*targets, objective, Streams(seed, "train"))


@given(objectives, counts, st.floats(0, 0.5), seeds)
def test_smoothing_moves_real_targets_within_the_width_and_leaves_fakes(
    objective: Objective, count: int, width: float, seed: int
) -> None:
    real, fake = altered(LabelSmoothing(width), objective, count, seed)
    assert (real - objective.real_target).abs().max() <= width + 1e-6
    assert (fake == objective.fake_target).all()


def test_smoothing_is_uniform() -> None:
    real, _ = altered(LabelSmoothing(0.1), BinaryCrossEntropy(), 100_000)
    assert real.mean().item() == pytest.approx(1.0, abs=1e-3)
    assert real.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)  # of U(-a, a): a / sqrt(3)
    assert real.min() < 0.901
    assert real.max() > 1.099


@given(objectives, counts, st.floats(0, 1), seeds)
def test_a_flipped_target_is_exactly_the_other_kinds(
    objective: Objective, count: int, probability: float, seed: int
) -> None:
    for targets in altered(NoisyLabels(probability), objective, count, seed):
        assert set(targets.tolist()) <= {objective.real_target, objective.fake_target}


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.3, 1.0])
def test_targets_of_both_kinds_flip_with_the_given_probability(probability: float) -> None:
    real, fake = altered(NoisyLabels(probability), Wasserstein(), 100_000)
    for flipped in (real == -1, fake == 1):
        assert flipped.float().mean().item() == pytest.approx(probability, abs=5e-3)
    both = ((real == -1) & (fake == 1)).float().mean().item()
    assert both == pytest.approx(probability**2, abs=5e-3)  # independent of each other


@settings(max_examples=30)
@given(objectives, st.permutations(["smoothing", "noise"]), seeds)
def test_smoothing_and_noise_mean_the_same_in_either_order(objective: Objective, order: list[str], seed: int) -> None:
    parts = {"smoothing": LabelSmoothing(0.1), "noise": NoisyLabels(0.3)}
    real, fake = altered(Stabilizers({name: parts[name] for name in order}), objective, 500, seed)
    flipped = real == objective.fake_target
    assert ((real - objective.real_target).abs()[~flipped] <= 0.1 + 1e-6).all()
    assert 0.15 < flipped.float().mean() < 0.45
    assert set(fake.tolist()) == {objective.real_target, objective.fake_target}


@pytest.mark.parametrize("two_sided", [True, False])
def test_fixed_smoothing_moves_targets_by_a_share_of_their_distance(two_sided: bool) -> None:
    for objective, expected in (
        (BinaryCrossEntropy(), (0.9, 0.1 if two_sided else 0.0)),
        (Wasserstein(), (0.8, -0.8 if two_sided else -1.0)),
    ):
        found = altered(FixedLabelSmoothing(0.1, two_sided), objective, 1)
        assert [targets.item() for targets in found] == pytest.approx(list(expected))


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.2, 0.5])
def test_label_noise_scales_the_wasserstein_gradient_by_one_minus_twice_its_probability(probability: float) -> None:
    objective, count = Wasserstein(), 200_000
    slope = torch.tensor(1.0, requires_grad=True)
    values = torch.rand(count, generator=torch.Generator().manual_seed(0))

    def gradient(targets: Tensor) -> float:
        batch = scored_batch(slope * (values + 1))
        batch = replace(batch, fake=batch.fake._replace(targets=targets))
        (found,) = torch.autograd.grad(objective.discriminator(batch).mean(), slope)
        return found.item()

    _, fake = altered(NoisyLabels(probability), objective, count)
    clean = gradient(torch.full((count,), objective.fake_target))
    assert gradient(fake) == pytest.approx((1 - 2 * probability) * clean, abs=0.02)


def test_accuracy_is_measured_against_the_truth() -> None:
    noisy, plain = points_gan(NoisyLabels(1.0)), points_gan()
    batches = [gan.discriminator_batch(random_points(), Streams(0, "train")).forward() for gan in (noisy, plain)]
    assert torch.equal(batches[0].targets, 1 - batches[1].targets)
    for batch in batches:
        assert batch.both.desired_real.tolist() == [False] * 8 + [True] * 8
    assert torch.equal(noisy.accuracies(batches[0])["accuracy"], plain.accuracies(batches[1])["accuracy"])


def test_smoothing_that_crosses_the_middle_is_refused_by_name() -> None:
    too_wide = {"stabilize.label_smoothing.width": 0.7}
    with pytest.raises(InputError, match=r"label_smoothing\.width=0\.7.*at most 0\.5"):
        gan_of("mlp", "bce", ["label_smoothing"], too_wide)
    gan_of("mlp", "wasserstein", ["label_smoothing"], too_wide)  # its targets are 2 apart
