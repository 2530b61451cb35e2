"""Networks against what the papers and the reports state of them."""

from typing import Literal

import pytest
import torch
from torch import nn

from gans.errors import InputError
from gans.models.acgan import ACGANDiscriminator, ACGANGenerator
from gans.models.autoencoder import AutoencoderGenerator, DenseDiscriminator
from gans.models.cgan import ConcatenatingDiscriminator, ConcatenatingGenerator
from gans.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gans.models.keras_adam import KerasAdam
from gans.models.mlp import MaxoutDiscriminator, MLPGenerator
from gans.models.stacked import StackedDiscriminator, StackedGenerator
from gans.run.network_summary import parameter_count
from tests.training import MODELS, gan_of

DIGITS = list(range(10))

# counted by hand from the layers: weights + biases, and 4 numbers per BatchNorm channel
ACGAN_GENERATOR = (
    (10 * 50) + (50 * 49 + 49) + (100 * 384 * 49 + 384 * 49) + (25 * 385 * 192 + 192) + 4 * 192 + (25 * 192 * 1 + 1)
)
ACGAN_DISCRIMINATOR = (
    (9 * 1 * 32 + 32)
    + (9 * 32 * 64 + 64 + 4 * 64)
    + (9 * 64 * 128 + 128 + 4 * 128)
    + (9 * 128 * 256 + 256 + 4 * 256)
    + (12544 * 1 + 1)
    + (12544 * 10 + 10)
)

MLP_GENERATOR = (2 * 400 + 400) + 3 * (400 * 400 + 400) + 4 * 4 * 400 + (400 * 2 + 2)
MAXOUT_DISCRIMINATOR = (2 * 1000 + 1000) + 2 * (200 * 1000 + 1000) + (200 * 1 + 1)
STACKED_GENERATOR = (
    (100 * 512 * 4 + 512 * 4)
    + 4 * 512
    + (25 * 512 * 256 + 256 + 4 * 256)
    + (25 * 256 * 128 + 128 + 4 * 128)
    + (25 * 128 * 64 + 64 + 4 * 64)
    + (25 * 64 * 3 + 3)
)
HALF_DISCRIMINATOR = (9 * 3 * 4 + 4) + (9 * 4 * 8 + 8 + 4 * 8) + (9 * 8 * 16 + 16 + 4 * 16) + (16 * 16 + 1)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (AutoencoderGenerator(), 1_153_712),
        (DenseDiscriminator(), 533_505),
        (DCGANGenerator(), 840_705),
        (DCGANDiscriminator(), 212_865),
        (ACGANGenerator(DIGITS), ACGAN_GENERATOR),
        (ACGANDiscriminator(DIGITS), ACGAN_DISCRIMINATOR),
        (MLPGenerator(), MLP_GENERATOR),
        (MaxoutDiscriminator(), MAXOUT_DISCRIMINATOR),
        (StackedGenerator([512, 256, 128, 64]), STACKED_GENERATOR),
        (StackedDiscriminator([4, 8, 16], kernel=3), HALF_DISCRIMINATOR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_parameter_counts_equal_the_papers(network: nn.Module, count: int) -> None:
    assert parameter_count(network) == count


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (DCGANGenerator(width=8), [(16, 8), (8, 1)]),
        (DCGANDiscriminator(width=8), [(1, 8), (8, 16)]),
        (ConcatenatingGenerator(DIGITS, width=8), [(16, 8), (8, 1)]),
        (ConcatenatingDiscriminator(DIGITS, width=8), [(2, 8), (8, 16)]),
        (ACGANGenerator(DIGITS, width=8), [(9, 4), (4, 1)]),
        (ACGANDiscriminator(DIGITS, width=8), [(1, 8), (8, 16), (16, 32), (32, 64)]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_all_channels_follow_the_width(network: nn.Module, channels: list[tuple[int, int]]) -> None:
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == channels


def test_the_autoencoders_layers_are_the_reports() -> None:
    layers = [module for module in AutoencoderGenerator().modules() if isinstance(module, nn.Linear)]
    counts = [parameter_count(layer) for layer in layers]
    assert counts == [401_920, 131_328, 32_896, 8_256, 2_080, 2_112, 8_320, 33_024, 131_584, 402_192]


REPORTS = {
    "dcgan": ({0.3}, (1e-3, 0.9), 2 * (16 + 8)),
    "wgan": ({0.3}, (1e-3, 0.9), 2 * (16 + 8)),
    "acgan": ({0.5}, (2e-4, 0.5), None),
    "autoencoder": ({0.3}, (2e-4, 0.5), 0),
}
"""Of each report's model, narrow: the rates of dropout, Adam's rate and first beta, the generator's moving averages."""


@pytest.mark.parametrize("model", REPORTS)
def test_the_reports_networks_have_the_constants_of_keras(model: str) -> None:
    """BatchNorm's momentum is Keras's 0.99 in PyTorch's convention, and Adam is Keras's."""
    gan, (rates, adam, averages) = gan_of(model), REPORTS[model]
    layers = list(gan.modules())
    assert {layer.p for layer in layers if isinstance(layer, nn.Dropout)} == rates
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.eps, layer.momentum) == (1e-3, 0.01)
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.bias is not None
            assert not layer.bias.any()
    if averages is not None:
        trained = sum(weight.numel() for weight in gan.generator.parameters())
        assert parameter_count(gan.generator) - trained == averages
    for optimizer in gan.configure_optimizers():
        group = optimizer.param_groups[0]
        assert isinstance(optimizer, KerasAdam)
        assert (group["lr"], list(group["betas"]), group["keras_eps"]) == (adam[0], [adam[1], 0.999], 1e-7)
        assert group["fused"]


def test_initial_weights_follow_the_stated_distributions() -> None:
    torch.manual_seed(0)
    dense = next(DCGANGenerator().parameters())
    limit = (6 / (100 + 6272)) ** 0.5
    assert dense.abs().max() <= limit
    assert dense.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)
    weighted = [value for value in ACGANGenerator(DIGITS).parameters() if value.dim() > 1]
    assert len(weighted) == 5
    for value in weighted:
        assert value.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("widths", [[8, 8], [8, 8, 8], [8, 8, 8, 8]])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("last_width", [None, 4])
def test_stacked_networks_reach_28_pixels_from_any_number_of_widths(
    widths: list[int], kernel: Literal[3, 5], last_width: int | None
) -> None:
    generator = StackedGenerator(widths, 10, kernel, last_width=last_width)
    inputs = generator.inputs(3, torch.Generator().manual_seed(0), None)
    assert inputs.arguments[0].abs().max() <= 1  # U(-1, 1)
    images = generator(*inputs.arguments)
    assert images.shape == (3, 3, 28, 28)
    assert images.abs().max() <= 1
    assert StackedDiscriminator(widths, kernel)(images).shape == (3, 1)


def test_a_classifying_gan_needs_two_classes() -> None:
    with pytest.raises(InputError, match=r"data\.classes=\[8\]"):
        ACGANDiscriminator([8])


@pytest.mark.parametrize("model", MODELS)
def test_convolutions_work_in_channels_last(model: str) -> None:
    weights = [weight for weight in gan_of(model).parameters() if weight.dim() == 4 and min(weight.shape) > 1]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
