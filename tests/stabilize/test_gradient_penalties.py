"""Gradient penalties of critics whose gradients are known."""

from collections.abc import Callable

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from typing_extensions import override

from gans.errors import InputError
from gans.gan import GAN
from gans.randomness import Streams
from gans.stabilize.gradient_penalties import DRAGAN, R1, R2, WGANGP, DigGAN, GradientPenalty
from gans.update import PlayerBatch
from tests.training import gan_of, points_gan, random_batch, random_points, samples_of, train

RANDOM = Streams(0, "train")


def batch_with(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> PlayerBatch:
    return PlayerBatch(lambda images, _: critic(images)[:, None], samples_of(fake), samples_of(real), False)


def images_of(seed: int, count: int = 6) -> Tensor:
    return torch.randn(count, 1, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.1, 20))
def test_the_penalties_of_a_linear_critic_are_exact(seed: int, weight: float) -> None:
    """Per sample, over all its pixels: a norm per pixel (PyTorch-GAN#20) would give other values."""
    slope = images_of(seed, 1)[0]
    batch = batch_with(lambda images: (images * slope).sum((1, 2, 3)), images_of(seed + 1), images_of(seed + 2))
    norm = slope.norm().item()
    centred, zero = weight * (norm - 1) ** 2, weight / 2 * norm**2
    expected = {R1(weight): zero, R2(weight): zero, WGANGP(weight): centred, DRAGAN(weight): centred}
    for penalty, value in expected.items():
        (charged,) = penalty.penalties(batch, RANDOM).values()
        numpy.testing.assert_allclose(charged.detach(), numpy.full(6, value), rtol=1e-5)


def test_where_each_penalty_looks() -> None:
    """Of the critic ||x||² / 2 the gradient is x itself, so the penalty tells the place."""
    real, fake = images_of(1), images_of(2)
    batch = batch_with(lambda images: images.square().sum((1, 2, 3)) / 2, real, fake)
    squares = [images.square().sum((1, 2, 3)) for images in (real, fake)]
    torch.testing.assert_close(R1(2.0).penalties(batch, RANDOM)["r1"].double(), squares[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(R2(2.0).penalties(batch, RANDOM)["r2"].double(), squares[1], rtol=1e-5, atol=0)

    norms = WGANGP(1.0, target=0.0).penalties(batch, Streams(0, "train"))["wgan_gp"].sqrt().double()
    share = torch.rand(6, 1, 1, 1, generator=Streams(0, "train")("wgan_gp"), dtype=torch.float64)
    between = (fake + share * (real - fake)).flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, between, rtol=1e-4, atol=0)

    around = DRAGAN(1.0, target=0.0, spread=1e-9).penalties(batch, RANDOM)["dragan"].sqrt().double()
    torch.testing.assert_close(around, squares[0].sqrt(), rtol=1e-4, atol=0)

    around = DRAGAN(1.0, target=0.0, spread=0.5).penalties(batch, Streams(0, "train"))["dragan"].sqrt().double()
    random = Streams(0, "train")("dragan")
    noise, share = torch.rand(real.shape, generator=random), torch.rand(6, 1, 1, 1, generator=random)
    deviation = (real - real.mean()).square().mean().sqrt()
    noised = (real + share * 0.5 * deviation * noise).flatten(1).norm(dim=1)
    assert (noised / squares[0].sqrt() - 1).abs().max() > 0.01
    torch.testing.assert_close(around, noised, rtol=1e-4, atol=0)


def test_diggan_asks_for_gradients_of_equal_length_of_a_real_and_a_fake() -> None:
    """Not for short ones: a steep linear critic pays nothing."""
    real, fake = images_of(1), images_of(2)
    batch = batch_with(lambda images: 100 * images.sum((1, 2, 3)), real, fake)
    assert DigGAN().penalties(batch, RANDOM)["diggan"].abs().max() < 1e-6
    batch = batch_with(lambda images: images.square().sum((1, 2, 3)) / 2, real, fake)  # its gradient is x itself
    gap = real.flatten(1).norm(dim=1) - fake.flatten(1).norm(dim=1)
    paid = DigGAN(3.0).penalties(batch, RANDOM)["diggan"].double()
    torch.testing.assert_close(paid, 3 * gap.square(), rtol=1e-4, atol=1e-6)


def test_the_critic_learns_from_the_penalty_and_the_generator_does_not() -> None:
    slope = torch.ones(1, 4, 5, dtype=torch.float64, requires_grad=True)
    fake = images_of(2).requires_grad_()
    batch = batch_with(lambda images: (images * slope).sum((1, 2, 3)), images_of(1), fake)
    R2(3.0).penalties(batch, RANDOM)["r2"].mean().backward()
    torch.testing.assert_close(slope.grad, 3.0 * slope.detach())  # d/dw of 3/2 ||w||²
    assert fake.grad is None


def test_a_lazy_penalty_is_paid_seldom_and_as_much_in_all() -> None:
    batch = batch_with(lambda images: images.sum((1, 2, 3)), images_of(1), images_of(2))

    def paid(interval: int) -> float:
        terms = [R1(10.0, interval).penalties(batch, Streams(0, "train", step)) for step in range(16)]
        assert sum(bool(term) for term in terms) == 16 // interval
        return sum(float(term["r1"].mean().detach()) for term in terms if term)

    assert paid(1) == pytest.approx(paid(4)) == pytest.approx(paid(16))


@pytest.mark.parametrize("updates", ["joint", "separate", "alternating"])
def test_a_penalty_is_paid_once_a_step_of_all_samples(updates: str) -> None:
    paid: list[tuple[int, int]] = []

    class Spy(GradientPenalty):
        name = "spy"

        @override
        def penalty(self, batch: PlayerBatch, random: Streams) -> Tensor:
            paid.append((len(batch.fake.images), len(batch.real.images)))
            return batch.real.images.sum(1).requires_grad_()

    means = train(points_gan(Spy(1.0), discriminator_updates=updates), [random_points()]).means.pop()
    assert paid == [(8, 8)]
    assert means["discriminator_spy"] != 0


def test_the_penalty_of_a_pack_is_about_all_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    gan: GAN = gan_of("dcgan", stabilizers=["packing", "r1"], changes={"stabilize.r1.weight": 2.0})
    slope = torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(gan, "discriminate", lambda images, _: (images * slope).sum((1, 2, 3))[:, None])
    batch = gan.discriminator_batch(random_batch(8), Streams(0, "train"))
    (charged,) = gan.stabilizers.penalties(batch, RANDOM).values()
    torch.testing.assert_close(charged.detach(), slope.square().sum().expand(4))


@pytest.mark.parametrize("name", ["wgan_gp", "dragan"])
def test_a_target_of_0_goes_with_clipping(name: str) -> None:
    """No slope is asked for that clipped weights cannot have; that pair is refused with any other target."""
    changes = {f"stabilize.{name}.target": 0.0}
    gan_of("mlp", "wasserstein", [name, "weight_clipping"], changes)
    with pytest.raises(InputError, match="use one of them"):
        gan_of("mlp", "wasserstein", [name, "weight_clipping"])
