"""The fast convolutions are PyTorch's, with all their derivatives."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gans.models.cpu.convolutions import (
    Conv2d,
    ConvTranspose2d,
    Geometry,
    ImageConv2d,
    ImageConvTranspose2d,
    add_patches,
    product_of_patches,
)
from gans.models.cpu.layers import use_plain_layers

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@settings(max_examples=30)
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
            with_derivatives(network.double(), images) for network in (layer, use_plain_layers(deepcopy(layer)))
        )
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


@settings(max_examples=40)
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


@settings(max_examples=15)
@given(st.data())
def test_convolutions_in_bfloat16_are_as_near_as_pytorchs(data: st.DataObject) -> None:
    """To PyTorch's own of the same numbers in double precision, whichever way the weights' gradients are computed."""
    kernel, stride = data.draw(st.integers(3, 5)), data.draw(st.integers(1, 2))
    channels = data.draw(st.sampled_from([8, 64]))
    layers = (Conv2d(channels, 16, kernel, stride, 1), ConvTranspose2d(16, channels, kernel, stride, 1, 0))
    for layer in layers:
        half = layer.bfloat16()
        plain = use_plain_layers(deepcopy(half))
        images = torch.randn(4, layer.in_channels, 7, 7).bfloat16()
        gradient = torch.randn(half(images).shape).bfloat16()
        ours, theirs = (with_gradients(network, images, gradient) for network in (half, plain))
        exact = with_gradients(deepcopy(plain).double(), images.double(), gradient.double())
        for found, pytorchs, expected in zip(ours, theirs, exact, strict=True):
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
