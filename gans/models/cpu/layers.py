"""Replaces a network's layers by layers that are faster on a CPU, and back."""

from typing import TypeVar

from torch import nn

from gans.models.cpu.convolutions import Conv2d, ConvTranspose2d, ImageConv2d, ImageConvTranspose2d
from gans.models.cpu.dropout import Dropout

Network = TypeVar("Network", bound=nn.Module)

FAST = (Dropout, Conv2d, ConvTranspose2d, ImageConv2d, ImageConvTranspose2d)


def use_fast_layers(network: Network) -> Network:
    """Replace the network's layers in place; weights, their names and the function stay the same.

    The layers check the device in each forward pass, and use PyTorch's implementation on others than the CPU.
    """
    for layer in network.modules():
        layer.__class__ = fast_class(layer)
    return network


def use_plain_layers(network: Network) -> Network:
    """Undo ``use_fast_layers``."""
    for layer in network.modules():
        if isinstance(layer, FAST):
            layer.__class__ = type(layer).__mro__[1]
    return network


def fast_class(layer: nn.Module) -> type[nn.Module]:
    """The faster class for a layer; the layer's own class if there is none."""
    kind = type(layer)
    if kind is nn.Dropout:
        return Dropout
    if isinstance(layer, nn.Conv2d) and kind is nn.Conv2d and _has_plain_geometry(layer):
        is_measured = layer.kernel_size[0] % 2 == 1  # even kernels of images were not
        return ImageConv2d if layer.in_channels == 1 and is_measured else Conv2d
    if isinstance(layer, nn.ConvTranspose2d) and kind is nn.ConvTranspose2d and _has_plain_geometry(layer):
        return ImageConvTranspose2d if layer.out_channels == 1 else ConvTranspose2d
    return kind


def _has_plain_geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution has no groups or dilation, zero padding, a kernel above 1x1, and equal directions."""
    pairs = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
    return (
        all(not isinstance(pair, str) and pair[0] == pair[1] for pair in pairs)
        and layer.kernel_size[0] > 1
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
    )
