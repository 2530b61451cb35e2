"""Every network against what the reports state of it."""

from collections.abc import Callable
from copy import deepcopy
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gans.errors import InputError
from gans.gan import GAN
from gans.models.acgan import ACGANDiscriminator, ACGANGenerator
from gans.models.autoencoder import AutoencoderGenerator, DenseDiscriminator
from gans.models.cpu.convolutions import (
    Conv2d,
    ConvTranspose2d,
    Geometry,
    ImageConv2d,
    ImageConvTranspose2d,
    add_patches,
    product_of_patches,
)
from gans.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gans.models.layers import Dropout, LeakyDropout
from gans.models.mlp import MaxoutDiscriminator, MLPGenerator
from gans.models.stacked import StackedDiscriminator, StackedGenerator
from gans.run.network_summary import parameter_count
from tests.conftest import as_pytorch_has_it

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


def test_dcgan_holds_384_moving_averages_and_the_autoencoder_layers_are_the_reports() -> None:
    weights = sum(value.numel() for value in DCGANGenerator().parameters())
    assert parameter_count(DCGANGenerator()) - weights == 384
    layers = [module for module in AutoencoderGenerator().modules() if isinstance(module, nn.Linear)]
    counts = [parameter_count(layer) for layer in layers]
    assert counts == [401_920, 131_328, 32_896, 8_256, 2_080, 2_112, 8_320, 33_024, 131_584, 402_192]
    assert sum(isinstance(module, nn.Dropout) for module in AutoencoderGenerator().modules()) == 8


@pytest.mark.parametrize("model", ["dcgan", "acgan", "wgan", "autoencoder"])
def test_constants_are_those_of_keras(make_gan: Callable[..., GAN], model: str) -> None:
    gan = make_gan(f"model={model}")
    for module in gan.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-3, 0.01)
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert module.bias is not None
            assert not module.bias.any()
    expected = {"dcgan": (1e-3, [0.9, 0.999]), "wgan": (1e-3, [0.9, 0.999])}.get(model, (2e-4, [0.5, 0.999]))
    for optimizer in gan.configure_optimizers():
        group = optimizer.param_groups[0]
        assert (group["lr"], list(group["betas"]), group["eps"]) == (*expected, 1e-7)
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


@pytest.mark.parametrize("model", ["dcgan", "acgan", "autoencoder"])
def test_the_weights_are_a_function_of_the_seed(make_gan: Callable[..., GAN], model: str) -> None:
    first, same, other = (make_gan(f"model={model}", f"seed={seed}").state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


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


def test_a_class_conditional_gan_needs_two_classes(make_gan: Callable[..., GAN]) -> None:
    with pytest.raises(InputError, match=r"data\.digits=\[8\]"):
        make_gan("model=acgan", "data.digits=[8]")


@given(rate=st.floats(0.0, 1.0, exclude_max=True), seed=st.integers(0, 2**32))
def test_dropout_keeps_the_expectation_at_every_rate(rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    values = torch.ones(64, 1000)
    found = Dropout(rate)(values)
    kept = (found != 0).double().mean().item()
    assert abs(kept - (1 - rate)) < 5 * max((rate * (1 - rate) / values.numel()) ** 0.5, 1e-4)
    assert len(found[found != 0].unique()) <= 1
    if kept > 0.1:
        assert found[found != 0].unique().item() == pytest.approx(1 / (1 - rate), rel=1e-3)


def test_dropout_is_independent_of_place_and_neighbours() -> None:
    """Four values share a random word: none of them may be special, and no pair related."""
    torch.manual_seed(0)
    kept = (Dropout(0.3)(torch.ones(1 << 20)) != 0).double() - 0.7
    assert kept.view(-1, 8).mean(0).abs().max() < 5 * (0.21 / 2**17) ** 0.5
    for distance in range(1, 9):
        covariance = (kept[distance:] * kept[:-distance]).mean().item()
        assert abs(covariance) < 5 * 0.21 / 2**10, distance


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dropout_is_a_mask_with_exact_gradients(layout: torch.memory_format, dtype: torch.dtype) -> None:
    layer, values = Dropout(0.3), torch.randn(4, 6, 5, 3).to(dtype).contiguous(memory_format=layout).requires_grad_()
    torch.manual_seed(1)
    mask = layer.mask(values)
    torch.manual_seed(1)
    found = layer(values)
    assert torch.equal(found, values * mask)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=layout)
    scale = torch.tensor(65536 / (65536 - round(0.3 * 65536)), dtype=dtype).item()
    assert set(mask.flatten().tolist()) == {0.0, scale}
    (gradient,) = torch.autograd.grad(found.sum(), values)
    assert torch.equal(gradient, mask)


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("training", [True, False])
def test_leaky_dropout_is_its_parts(*, dtype: torch.dtype, apart: float, rate: float, training: bool) -> None:
    """In values, slopes and the slopes' slopes."""
    pack_size = LeakyDropout(0.2, rate).train(training)
    parts = nn.Sequential(*pack_size)
    found: list[Tensor] = []
    expected: list[Tensor] = []
    for layer, results in ((pack_size, found), (parts, expected)):
        torch.manual_seed(1)
        values = torch.randn(4, 6, 5, 3).to(dtype).requires_grad_()
        results.append(layer(values))
        results.extend(torch.autograd.grad(results[0].square().sum(), values, create_graph=True))
        results.extend(torch.autograd.grad(results[1].square().sum(), values))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=apart, atol=0)


def test_dropout_of_what_is_not_dense_and_of_nothing() -> None:
    values = torch.ones(10, 8)[::2, ::3]
    assert (Dropout(0.5)(values) > 0).float().mean() > 0
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
    assert not Dropout(1.0)(values).any()
    assert not LeakyDropout(0.2, 1.0)(values).any()


def test_dropout_has_second_derivatives() -> None:
    """A gradient penalty differentiates the gradient: that of a product with a constant mask."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), Dropout(0.5), nn.Linear(4, 1)).double()

    def same_mask(points: Tensor) -> Tensor:
        torch.manual_seed(3)
        return network(points)

    points = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(same_mask, points)
    assert torch.autograd.gradgradcheck(same_mask, points)


@pytest.mark.parametrize("model", ["dcgan", "acgan", "residual"])
def test_convolutions_work_in_channels_last(make_gan: Callable[..., GAN], model: str) -> None:
    gan = make_gan(f"model={model}")
    weights = [weight for weight in gan.parameters() if weight.dim() == 4 and min(weight.shape) > 1]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@settings(max_examples=50)
@given(st.data())
def test_convolutions_are_pytorchs_with_all_their_derivatives(data: st.DataObject) -> None:
    """Values, gradients, and the gradients of a gradient penalty."""
    (kernel, stride, padding), inputs, outputs, images = any_convolution(data)
    more = data.draw(st.integers(0, stride - 1))
    layers = (
        Conv2d(inputs, outputs, kernel, stride, padding),
        ConvTranspose2d(inputs, outputs, kernel, stride, padding, more),
        ImageConv2d(inputs, outputs, kernel, stride, padding),
        ImageConvTranspose2d(inputs, outputs, kernel, stride, padding, more),
    )
    for layer in layers:
        found, expected = (
            with_derivatives(network.double(), images) for network in (layer, as_pytorch_has_it(deepcopy(layer)))
        )
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


@settings(max_examples=50)
@given(st.data())
def test_a_product_of_patches_is_the_gradient_of_a_convolutions_weights(data: st.DataObject) -> None:
    """Of a transposed one's too, which is the other's the other way round, however many threads share the images."""
    geometry, inputs, outputs, images = any_convolution(data, smallest=1)
    torch.set_num_threads(data.draw(st.integers(1, 4)))
    kernel, stride, padding = geometry
    weight = torch.randn(outputs, inputs, kernel, kernel, dtype=torch.float64, requires_grad=True)
    values = F.conv2d(images, weight, None, stride, padding)
    gradient = torch.randn_like(values).contiguous(memory_format=data.draw(st.sampled_from(LAYOUTS)))
    (expected,) = torch.autograd.grad(values, weight, gradient)
    torch.testing.assert_close(product_of_patches(gradient, images.detach(), geometry), expected)


@settings(max_examples=25)
@given(st.data())
def test_convolutions_in_bfloat16_are_as_near_as_pytorchs(data: st.DataObject) -> None:
    """To PyTorch's own of the same numbers in double precision, whichever way the weights' gradients are computed."""
    kernel, stride = data.draw(st.integers(3, 5)), data.draw(st.integers(1, 2))
    channels = data.draw(st.sampled_from([8, 64]))
    layers = (Conv2d(channels, 16, kernel, stride, 1), ConvTranspose2d(16, channels, kernel, stride, 1, 0))
    for layer in layers:
        half = layer.bfloat16()
        exact = as_pytorch_has_it(deepcopy(half)).double()
        images = torch.randn(4, layer.in_channels, 7, 7).bfloat16()
        gradient = torch.randn(half(images).shape).bfloat16()
        ours, theirs, best = (
            with_gradients(network, images.to(dtype), gradient.to(dtype))
            for network, dtype in (
                (half, torch.bfloat16), (as_pytorch_has_it(deepcopy(half)), torch.bfloat16), (exact, torch.float64)
            )
        )  # fmt: skip
        for found, pytorchs, expected in zip(ours, theirs, best, strict=True):
            assert found.dtype == torch.bfloat16
            error, usual = ((each.double() - expected).norm() / expected.norm() for each in (found, pytorchs))
            assert error <= max(1.5 * usual, torch.tensor(2**-8))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_patches_of_images_add_up_in_single_precision(dtype: torch.dtype) -> None:
    """So that an image is no less exact than the values of its patches."""
    values, weight = torch.randn(2, 8, 6, 6).to(dtype), torch.randn(8, 1, 5, 5).to(dtype)
    found = add_patches(values, weight, (12, 12), Geometry(5, 2, 2))
    patches = values.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)
    expected = F.fold(patches.transpose(1, 2).double(), 12, 5, padding=2, stride=2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_transposed_convolutions_honour_an_output_size_and_take_a_single_image() -> None:
    values = torch.randn(2, 3, 5, 5)
    for layer in (ConvTranspose2d(3, 2, 5, 2, 2, 1), ImageConvTranspose2d(3, 2, 5, 2, 2, 1)):
        assert layer(values).shape == (2, 2, 10, 10)
        assert layer(values, [9, 9]).shape == (2, 2, 9, 9)
        torch.testing.assert_close(layer(values[0]), layer(values)[0])
    image, convolution = torch.randn(3, 8, 8), Conv2d(3, 2, 5, 2, 2)
    torch.testing.assert_close(convolution(image), convolution(image[None])[0])


LAYOUTS = [torch.contiguous_format, torch.channels_last]


def any_convolution(data: st.DataObject, smallest: int = 5) -> tuple[Geometry, int, int, Tensor]:
    """Its geometry, its numbers of channels, and images for it."""
    kernel = data.draw(st.integers(1, 5))
    geometry = Geometry(kernel, data.draw(st.integers(1, 3)), data.draw(st.integers(0, kernel - 1)))
    least = max(smallest, kernel - 2 * geometry.padding)
    limits = ((1, 4), (1, 3), (1, 3), (least, 8), (least, 8))
    count, inputs, outputs, height, width = (data.draw(st.integers(*each)) for each in limits)
    images = torch.randn(count, inputs, height, width, dtype=torch.float64)
    images = images.contiguous(memory_format=data.draw(st.sampled_from(LAYOUTS)))
    return geometry, inputs, outputs, images.requires_grad_()


def with_gradients(layer: nn.Module, images: Tensor, gradient: Tensor) -> list[Tensor]:
    images.requires_grad_()
    values = layer(images)
    return [values, *torch.autograd.grad(values, [images, *layer.parameters()], gradient)]


def with_derivatives(layer: nn.Module, images: Tensor) -> list[Tensor]:
    values = layer(images)
    everything = [images, *layer.parameters()]
    slopes = torch.autograd.grad(values.exp().sum(), everything, create_graph=True)
    steepness = torch.stack([slope.square().sum() for slope in slopes]).sum()
    curvatures = torch.autograd.grad(steepness, everything)
    return [values, *slopes, *curvatures]
