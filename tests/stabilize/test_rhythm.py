"""Stabilizers of the players' pace, against their algorithms."""

import copy
import math
from collections.abc import Callable
from itertools import permutations

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gans.stabilize import Stabilizer
from gans.stabilize.base import StabilizedGAN
from gans.stabilize.rhythm import DiscriminatorSteps, LearningRateDecay, Optimism, TwoTimeScales, optimistic
from tests.training import points_gan, random_points, same, train, weights


def test_the_generator_moves_in_every_nth_step_only() -> None:
    gan = points_gan(DiscriminatorSteps(3))
    before = weights(gan.generator), weights(gan.discriminator)
    train(gan, [random_points()] * 2)
    assert same(before[0], weights(gan.generator))
    assert not same(before[1], weights(gan.discriminator))
    assert "generator_loss" not in gan.means.pop()
    train(gan, [random_points()])
    assert not same(before[0], weights(gan.generator))
    assert "generator_loss" in gan.means.pop()


@pytest.mark.parametrize("order", permutations(range(2)))
def test_learning_rates_have_their_ratio_fall_linearly_and_stay(order: tuple[int, int]) -> None:
    rates: list[list[float]] = []

    class Watch(Stabilizer):
        def after_generator(self, gan: StabilizedGAN) -> None:
            rates.append([each.param_groups[0]["lr"] for each in gan.optimizers()])

    stabilizers = LearningRateDecay(steps=4, final=0.2), TwoTimeScales(4.0)
    gan = points_gan(*(stabilizers[index] for index in order), Watch(), rate=1e-3)
    train(gan, [random_points()] * 6)
    shares = [1.0, 0.8, 0.6, 0.4, 0.2, 0.2]
    numpy.testing.assert_allclose(rates, [(1e-3 * share, 4e-3 * share) for share in shares], rtol=1e-6)


def test_optimistic_adam_equals_its_algorithm() -> None:
    """Daskalakis et al. 2018, algorithm 1, in plain numbers."""
    rate, beta1, beta2, epsilon = 0.1, 0.5, 0.9, 1e-8
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = optimistic(torch.optim.Adam([weight], lr=rate, betas=(beta1, beta2), eps=epsilon))
    expected, first, second, before = numpy.array([1.0, -2.0]), 0.0, 0.0, None
    for step in range(1, 8):
        gradient = numpy.cos(expected) + expected
        weight.grad = weight.detach().cos() + weight.detach()
        optimizer.step()
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        update = -rate * first / (1 - beta1**step) / (numpy.sqrt(second / (1 - beta2**step)) + epsilon)
        expected = expected + 2 * update - (update if before is None else before)
        before = update
        numpy.testing.assert_allclose(weight.detach(), expected, rtol=1e-9)


def test_both_players_are_optimistic() -> None:
    """From the second step on, which takes back what the first has moved."""
    optimistic_gan, plain = points_gan(Optimism()), points_gan()
    train(optimistic_gan, [random_points()])
    train(plain, [random_points()])
    assert same(weights(optimistic_gan), weights(plain))  # the first step has nothing to take back
    for gan in (optimistic_gan, plain):
        train(gan, [random_points(seed=1)])
    for network in ("generator", "discriminator"):
        assert not same(*(weights(gan.get_submodule(network)) for gan in (optimistic_gan, plain)))


def test_optimism_converges_where_plain_steps_spiral_out() -> None:
    """min over x, max over y of x y: each optimistic step contracts, each plain one expands by sqrt(1 + h²)."""

    def distance(wrap: Callable[[Optimizer], Optimizer], steps: int = 1000) -> float:
        x, y = (nn.Parameter(torch.tensor(1.0, dtype=torch.float64)) for _ in range(2))
        optimizer = wrap(torch.optim.SGD([x, y], lr=0.1))
        for _ in range(steps):
            x.grad, y.grad = y.detach().clone(), -x.detach().clone()
            optimizer.step()
        return math.hypot(x.item(), y.item())

    assert distance(lambda optimizer: optimizer, 100) == pytest.approx(math.sqrt(2) * 1.01**50, rel=1e-6)
    assert distance(optimistic) < 0.02


def test_what_an_optimistic_optimizer_remembers_is_in_its_state() -> None:
    def steps(optimizer: Optimizer, weight: nn.Parameter, count: int) -> None:
        for _ in range(count):
            weight.grad = weight.detach() + 1
            optimizer.step()

    def make(weight: Tensor) -> Optimizer:
        return optimistic(torch.optim.Adam([weight], lr=0.1))

    whole, first, second = (nn.Parameter(torch.tensor([3.0])) for _ in range(3))
    steps(make(whole), whole, 6)
    optimizer = make(first)
    steps(optimizer, first, 3)
    second.data.copy_(first.data)
    resumed = make(second)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(resumed, second, 3)
    assert torch.equal(whole, second)
