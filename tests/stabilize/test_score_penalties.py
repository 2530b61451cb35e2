"""Penalties on scores, of critics whose scores are known."""

from collections.abc import Callable

import numpy
import pytest
import torch
from torch import Tensor

from gans.randomness import Streams
from gans.stabilize.inputs import AUGMENTATIONS
from gans.stabilize.score_penalties import BalancedConsistency, LeCam
from gans.update import PlayerBatch
from tests.training import gan_of, points_gan, random_batch, random_points, samples_of, scored_batch, train


def stream(step: int = 0) -> Streams:
    return Streams(0, "train", step)


def images_of(seed: int, count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch_with(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> PlayerBatch:
    return PlayerBatch(lambda images, _: critic(images)[:, None], samples_of(fake), samples_of(real), False)


# --- LeCam ------------------------------------------------------------------------------------------------------------


def test_lecam_equals_its_equations() -> None:
    """Anchors begin with the first step's means; each kind is drawn to the other kind's anchor."""
    lecam, random = LeCam(0.7, 0.9), numpy.random.default_rng(0)
    anchors = None
    for step in range(5):
        fake, real = random.normal(-1, 1, 6), random.normal(2, 1, 6)
        means = numpy.array([fake.mean(), real.mean()])
        anchors = means if anchors is None else 0.9 * anchors + 0.1 * means
        expected = 0.7 * ((real - anchors[0]) ** 2 + (fake - anchors[1]) ** 2)
        (paid,) = lecam.penalties(scored_batch(torch.tensor(fake), real=torch.tensor(real)), stream(step)).values()
        numpy.testing.assert_allclose(paid, expected, rtol=1e-5)


@pytest.mark.parametrize("updates", ["joint", "separate", "alternating"])
def test_lecam_draws_the_scores_of_both_kinds_together(updates: str) -> None:
    """With a large weight, where the plain loss draws them apart."""

    def gap(*stabilizers: LeCam) -> float:
        gan = points_gan(*stabilizers, rate=0.01, discriminator_updates=updates)
        train(gan, [random_points()] * 20)
        fake, real = gan.discriminator_batch(random_points(), stream()).forward().scores_by_kind
        return abs((real.mean() - fake.mean()).item())

    assert gap(LeCam(10.0)) < 0.5 * gap()


def test_lecam_takes_the_scores_that_are_there() -> None:
    """No further pass through the discriminator."""

    def passes(*stabilizers: LeCam) -> int:
        gan, count = points_gan(*stabilizers), 0

        def add(*_: object) -> None:
            nonlocal count
            count += 1

        gan.discriminator.register_forward_hook(add)
        train(gan, [random_points()])
        return count

    assert passes(LeCam()) == passes()


# --- balanced consistency ---------------------------------------------------------------------------------------------


def test_consistency_is_the_squared_change_of_the_score_by_augmentation() -> None:
    real, fake = images_of(1), images_of(2)
    slope = images_of(3, 1)

    def critic(images: Tensor) -> Tensor:
        return (images * slope).sum((1, 2, 3))

    bcr = BalancedConsistency(3.0, 5.0, ["contrast", "translation"])
    (paid,) = bcr.penalties(batch_with(critic, real, fake), stream()).values()
    random, changes = stream()("bcr"), []
    for images in (fake, real):
        changed = AUGMENTATIONS["translation"](AUGMENTATIONS["contrast"](images, random), random)
        changes.append((critic(changed) - critic(images)).square())
    torch.testing.assert_close(paid.double(), 5.0 * changes[0] + 3.0 * changes[1], rtol=1e-5, atol=1e-6)


def test_a_critic_that_augmentations_do_not_move_pays_nothing() -> None:
    """The sum of images with an empty margin, which are shifted."""
    real, fake = images_of(1), images_of(2)
    for images in (real, fake):
        images[:, :, [0, -1]] = 0
        images[:, :, :, [0, -1]] = 0
    batch = batch_with(lambda images: images.sum((1, 2, 3)), real, fake)
    assert BalancedConsistency().penalties(batch, stream())["bcr"].abs().max() < 1e-9
    batch = batch_with(lambda images: images[:, 0, 3, 3], real, fake)
    assert BalancedConsistency().penalties(batch, stream())["bcr"].max() > 0.1


def test_each_kind_has_its_weight_and_the_critic_learns_through_both_scores() -> None:
    slope = torch.ones(8, 8, dtype=torch.float64, requires_grad=True)
    batch = batch_with(
        lambda images: (images[:, 0] * slope).sum((1, 2)), images_of(1), torch.zeros(6, 1, 8, 8).double()
    )
    of_fakes = BalancedConsistency(0.0, 5.0).penalties(batch, stream())["bcr"]
    assert of_fakes.abs().max() == 0  # shifted zeros
    paid = BalancedConsistency(5.0, 0.0).penalties(batch, stream())["bcr"].sum()
    (gradient,) = torch.autograd.grad(paid, slope)
    torch.testing.assert_close((gradient * slope).sum(), 2 * paid.double())  # quadratic in the slope (Euler)


def test_weights_of_0_are_allowed_and_change_no_gradient() -> None:
    """So that a sweep may include them."""
    zeros = {"stabilize.bcr.real_weight": 0.0, "stabilize.bcr.fake_weight": 0.0}
    gan = train(gan_of("dcgan", stabilizers=["bcr"], changes=zeros), [random_batch()])
    means = gan.means.pop()
    assert means["discriminator_bcr"] == 0
    assert means["discriminator_loss"] == means["discriminator_adversarial"]


def test_members_of_a_pack_are_augmented_each_by_itself_and_the_generator_sees_none() -> None:
    gan = gan_of("dcgan", stabilizers=["bcr", "packing"], changes={"stabilize.bcr.policy": ["brightness"]})
    bcr = next(each for each in gan.stabilizers if isinstance(each, BalancedConsistency))
    pack = samples_of(torch.zeros(20, 2, 28, 28))
    shifts = bcr.augmented(pack, stream()).images.mean((2, 3))
    assert shifts.shape == (20, 2)
    assert (shifts[:, 0] - shifts[:, 1]).abs().min() > 0
    images = random_batch().images
    assert torch.equal(gan.stabilizers.transform_inputs(images, stream()), images)
