"""Stabilizers of weights: clipping, spectral norm, moving averages."""

import copy

import pytest
import torch
from typing_extensions import override

from gans.randomness import Streams
from gans.stabilize import Stabilizer
from gans.stabilize.base import StabilizedGAN
from gans.stabilize.layers import WEIGHTED
from gans.stabilize.weights import EMA, WeightClipping
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
        gan.to_unit(copy.deepcopy(network).eval()(*inputs.arguments)) for network in (ema.average, gan.generator)
    )
    torch.testing.assert_close(gan.sample(inputs), of_average)
    assert not torch.equal(gan.sample(inputs), of_weights)
