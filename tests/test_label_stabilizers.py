"""Label stabilizers against their definition, on random targets of both conventions."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.data.batches import Batch
from gans.errors import InputError
from gans.gan import GAN
from gans.objectives import BinaryCrossEntropy, Objective, Wasserstein
from gans.randomness import Streams
from gans.stabilize import Stabilizers
from gans.stabilize.labels import LabelSmoothing, NoisyLabels
from gans.update import Turn

objectives = st.sampled_from([BinaryCrossEntropy(), Wasserstein(), Wasserstein(bounded=True)])
counts = st.integers(1, 300)
seeds = st.integers(0, 2**31)


def plain_targets(objective: Objective, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((count,), objective.real_target), torch.full((count,), objective.fake_target)


@given(objectives, counts, st.floats(0, 0.5), seeds)
def test_smoothing_moves_real_targets_within_the_width_and_leaves_fakes(
    objective: Objective, count: int, width: float, seed: int
) -> None:
    targets = plain_targets(objective, count)
    real, fake = LabelSmoothing(width).targets(*targets, objective, Streams(seed, "train"))
    assert (real - targets[0]).abs().max() <= width + 1e-6
    assert torch.equal(fake, targets[1])


def test_smoothing_is_uniform() -> None:
    objective = BinaryCrossEntropy()
    real, _ = LabelSmoothing(0.1).targets(*plain_targets(objective, 100_000), objective, Streams(0, "train"))
    assert real.mean().item() == pytest.approx(1.0, abs=1e-3)
    assert real.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)  # of U(-a, a): a / sqrt(3)
    assert real.min() < 0.901
    assert real.max() > 1.099


@given(objectives, counts, st.floats(0, 1), seeds)
def test_a_flipped_target_is_exactly_the_other_kinds(
    objective: Objective, count: int, probability: float, seed: int
) -> None:
    real, fake = NoisyLabels(probability).targets(*plain_targets(objective, count), objective, Streams(seed, "train"))
    allowed = {objective.real_target, objective.fake_target}
    assert set(real.tolist()) <= allowed
    assert set(fake.tolist()) <= allowed


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.3, 1.0])
def test_targets_of_both_kinds_flip_with_the_given_probability(probability: float) -> None:
    objective = Wasserstein()
    count = 100_000
    random = Streams(0, "train")
    real, fake = NoisyLabels(probability).targets(*plain_targets(objective, count), objective, random)
    for flipped in (real == -1, fake == 1):
        assert flipped.float().mean().item() == pytest.approx(probability, abs=5e-3)
    both = ((real == -1) & (fake == 1)).float().mean().item()
    assert both == pytest.approx(probability**2, abs=5e-3)  # independent of each other


@settings(max_examples=30)
@given(objectives, st.permutations(["smoothing", "noise"]), seeds)
def test_smoothing_and_noise_mean_the_same_in_either_order(objective: Objective, order: list[str], seed: int) -> None:
    parts = {"smoothing": LabelSmoothing(0.1), "noise": NoisyLabels(0.3)}
    stabilizers = Stabilizers({name: parts[name] for name in order})
    real, fake = stabilizers.targets(*plain_targets(objective, 500), objective, Streams(seed, "train"))
    told_fake = real == objective.fake_target
    assert ((real - objective.real_target).abs()[~told_fake] <= 0.1 + 1e-6).all()
    assert 0.15 < told_fake.float().mean() < 0.45
    assert set(fake.tolist()) == {objective.real_target, objective.fake_target}


def test_accuracy_is_measured_against_the_truth(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("stabilize=noisy_labels", "stabilize.noisy_labels.flip_probability=1")
    plain = make_gan()
    for model in (gan, plain):
        turn = turn_for(model)
        assert turn.both.desired_real.tolist() == [False] * 4 + [True] * 4
    noisy, clean = turn_for(gan), turn_for(plain)
    assert torch.equal(noisy.both.targets, 1 - clean.both.targets)
    torch.testing.assert_close(gan.accuracies(noisy)["accuracy"], plain.accuracies(clean)["accuracy"])


def turn_for(gan: GAN) -> Turn:
    gan.discriminator.eval()
    batch = Batch(torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.zeros(4).long())
    return gan.discriminator_turn(batch, Streams(0, "train"))


def test_smoothing_that_crosses_the_middle_is_refused_by_name(make_gan: Callable[..., GAN]) -> None:
    with pytest.raises(InputError, match=r"label_smoothing\.width=0\.7.*at most 0\.5"):
        make_gan("stabilize=label_smoothing", "stabilize.label_smoothing.width=0.7")
    assert make_gan("model=wgan", "stabilize=label_smoothing", "stabilize.label_smoothing.width=0.7")
