"""Stabilizers of weights: clipping, spectral norm, moving averages."""

import copy
from functools import partial

import numpy
import pytest
import torch
from typing_extensions import override

from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.dirac import DiracDiscriminator, DiracGenerator
from gans.objectives import Wasserstein
from gans.randomness import Streams
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.base import StabilizedGAN
from gans.stabilize.layers import WEIGHTED
from gans.stabilize.weights import EMA, Lookahead, WeightClipping
from tests.training import gan_of, points_gan, random_batch, random_points, train


def test_clipping_bounds_every_weight_of_the_critic_alone() -> None:
    gan = train(points_gan(WeightClipping(0.01)), [random_points()])
    assert max(weight.abs().max() for weight in gan.discriminator.parameters()) <= 0.01
    assert max(weight.abs().max() for weight in gan.generator.parameters()) > 0.01


@pytest.mark.parametrize("model", ["mlp", "projection"])
def test_spectral_norm_gives_every_weight_matrix_norm_one(model: str) -> None:
    gan = gan_of(model, stabilizers=["spectral_norm"])
    layers = [module for module in gan.discriminator.modules() if isinstance(module, WEIGHTED)]
    data = random_points() if model == "mlp" else random_batch()

    def norms() -> list[float]:
        gan.discriminator.eval()
        found = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]
        gan.discriminator.train()
        return found

    train(gan, [data] * 3)
    with torch.no_grad():
        for _ in range(100):  # one power iteration each
            gan.discriminate(data.images[:1], data.labels[:1])
    assert norms() == pytest.approx([1.0] * len(layers), abs=5e-3)
    train(gan, [data] * 3)
    assert norms() == pytest.approx([1.0] * len(layers), abs=5e-2)  # it follows weights that move


def test_the_moving_average_equals_its_recurrence_and_draws_the_samples() -> None:
    ema = EMA(0.9)

    class Follow(Stabilizer):
        @override
        def attach(self, gan: StabilizedGAN) -> None:
            self.expected = [weight.detach().double().clone() for weight in gan.generator.parameters()]

        @override
        def after_generator(self, gan: StabilizedGAN) -> None:
            for value, weight in zip(self.expected, gan.generator.parameters(), strict=True):
                value.mul_(0.9).add_(weight.detach().double(), alpha=0.1)

    follow = Follow()
    gan = train(points_gan(ema, follow, rate=0.1), [random_points(seed=seed) for seed in range(5)])
    for value, weight in zip(follow.expected, ema.average.parameters(), strict=True):
        torch.testing.assert_close(weight.double(), value, rtol=1e-4, atol=1e-6)
    for kept, now in zip(ema.average.buffers(), gan.generator.buffers(), strict=True):
        assert torch.equal(kept, now)
    inputs = gan.generator.inputs(4, Streams(1, "x")("latent"), None)
    of_average, of_weights = (
        copy.deepcopy(network).eval()(*inputs.arguments) for network in (ema.average, gan.generator)
    )
    torch.testing.assert_close(gan.sample(inputs), of_average)
    assert not torch.equal(gan.sample(inputs), of_weights)


@pytest.mark.parametrize(("steps", "rate"), [(2, 0.5), (5, 0.5), (5, 0.8)])
def test_lookahead_equals_its_algorithm_and_converges_where_plain_steps_circle(steps: int, rate: float) -> None:
    """D(x) = psi x with the Wasserstein objective: a step is linear, and turns around the equilibrium at a distance.

    The state after a return is (1 - rate) I + rate A^steps times the state before, where A is a step's matrix.
    """
    of_generator, of_discriminator, start = 0.4, 0.6, numpy.array([0.8, 0.3])
    optimizers = partial(torch.optim.SGD, lr=of_generator), partial(torch.optim.SGD, lr=of_discriminator)
    stabilizers = Stabilizers({"it": Lookahead(steps, rate)})
    gan = GAN(DiracGenerator(start[0]), DiracDiscriminator(start[1]), Wasserstein(), stabilizers, *optimizers)
    step = numpy.array(
        [[1 - of_generator * of_discriminator / 2, -of_generator], [of_discriminator / 2, 1]]
    )  # psi grows by half of its rate times theta, then theta falls
    cycle = (1 - rate) * numpy.eye(2) + rate * numpy.linalg.matrix_power(step, steps)
    assert numpy.abs(numpy.linalg.eigvals(step)) == pytest.approx([1, 1])
    assert numpy.abs(numpy.linalg.eigvals(cycle)).max() < 0.98

    train(gan, [Batch(torch.zeros(1, 1), torch.zeros(1).long())] * (3 * steps + 1))
    expected = step @ numpy.linalg.matrix_power(cycle, 3) @ start
    found = [next(network.parameters()).item() for network in (gan.generator, gan.discriminator)]
    numpy.testing.assert_allclose(found, expected, rtol=1e-4)


def test_lookahead_counts_updates_of_the_generator() -> None:
    """And its slow weights are those of layers that other techniques have changed."""
    changes = {"stabilize.lookahead.steps": 2, "stabilize.discriminator_steps.steps": 3}
    gan = gan_of("dcgan", stabilizers=["lookahead", "discriminator_steps", "spectral_norm"], changes=changes)
    lookahead = next(each for each in gan.stabilizers if isinstance(each, Lookahead))
    for number, network in enumerate((gan.generator, gan.discriminator)):
        for slow, weight in zip(lookahead.slow[number].parameters(), network.parameters(), strict=True):
            assert torch.equal(slow, weight)
    first = [weight.clone() for weight in lookahead.slow.parameters()]
    train(gan, [random_batch(4)] * 5)
    assert all(torch.equal(*pair) for pair in zip(first, lookahead.slow.parameters(), strict=True))
    train(gan, [random_batch(4)])
    weights = [*gan.generator.parameters(), *gan.discriminator.parameters()]
    assert all(torch.equal(*pair) for pair in zip(weights, lookahead.slow.parameters(), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(first, weights, strict=True))
