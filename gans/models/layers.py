"""What networks share: Keras's initialisation and constants, as the reports' networks have them, and fast layers."""

from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from gans.randomness import random_words


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """With Keras's epsilon, and its moving-average momentum 0.99 in PyTorch's convention."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def glorot_uniform(network: nn.Module) -> None:
    """Glorot-uniform weights and zero biases, Keras's default (Glorot and Bengio 2010, equation 16)."""
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.xavier_uniform_(module.weight)
            _zero_bias(module)


def normal(network: nn.Module, deviation: float) -> None:
    """N(0, deviation²) weights and zero biases (Radford et al. 2016, section 4, with deviation 0.02)."""
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.normal_(module.weight, 0.0, deviation)
            _zero_bias(module)


def _zero_bias(module: nn.Module) -> None:
    if isinstance(bias := getattr(module, "bias", None), Tensor):
        nn.init.zeros_(bias)


VALUES = 1 << 16
"""How many values 16 bits have."""

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integer types, by how many bytes a value has."""


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) with masks cut from random words, 16 bits for each value.

    PyTorch's own draws its masks one number at a time on one thread, which took a fifth of a DCGAN's training step on
    a CPU. The rate is the nearest multiple of 1/65,536, and what is kept is scaled by as much as keeps the expectation,
    rounded as numbers of the type are.
    """

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input * self.mask(input) if self.training and self.p else input

    def mask(self, like: Tensor) -> Tensor:
        """0, or 1 / (1 - rate); in the layout in memory of the values that it is for."""
        dropped = min(round(self.p * VALUES), VALUES - 1)
        words = random_words(-(-like.numel() // 4), like.device)
        dense = torch.empty_like(like, device="meta").stride()
        uniform = words.view(torch.int16).as_strided(like.shape, dense)
        kept = uniform.ge_(dropped - VALUES // 2)  # 0 and 1; a comparison that makes bool is not vectorized
        integer = INTEGERS[like.dtype.itemsize]
        return kept.to(integer).mul_(bits(VALUES / (VALUES - dropped), like.dtype)).view(like.dtype)


@cache
def bits(number: float, dtype: torch.dtype) -> int:
    """The bits of a number of a type, taken for an integer."""
    host = torch.tensor(number, dtype=dtype, device="cpu").view(INTEGERS[dtype.itemsize])
    return int(host.numpy())  # int(host) would look like waiting for a device


class LeakyDropout(nn.Sequential):
    """LeakyReLU (Maas et al. 2013), and dropout of what it gives: values of any shape -> the same shape.

    In training one factor for each value is both, slope times mask, which is a pass over the values less.
    """

    def __init__(self, negative_slope: float, rate: float) -> None:
        super().__init__(nn.LeakyReLU(negative_slope), Dropout(rate))

    @override
    def forward(self, input: Tensor) -> Tensor:
        activation, dropout = cast("tuple[nn.LeakyReLU, Dropout]", tuple(self))
        if not self.training or not dropout.p:
            return activation(input)
        with torch.no_grad():
            mask = dropout.mask(input)
            factor = torch.ops.aten.leaky_relu_backward(mask, input, activation.negative_slope, False)
        return input * factor


class ImageConv2d(nn.Conv2d):
    """nn.Conv2d for a first layer, whose gradient with respect to the images is faster.

    Images have few channels, on which a CPU's transposed convolutions, made for many, waste most of their work.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.geometry = {"kernel_size": kernel, "stride": stride, "padding": padding}

    @override
    def forward(self, input: Tensor) -> Tensor:
        if not input.requires_grad:
            return super().forward(input)
        return _ImageConvolution.apply(input, self.weight, self.bias, self.geometry)


class _ImageConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, geometry: dict[str, int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
        return F.conv2d(images, weight, bias, geometry["stride"], geometry["padding"])

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Of differentiable functions: a gradient penalty takes the gradient's gradient."""
        images, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        stride, padding = ([ctx.geometry[name]] * 2 for name in ("stride", "padding"))
        to_images = add_patches(gradient, weight, images.shape[2:], ctx.geometry) if ctx.needs_input_grad[0] else None
        _, to_weight, to_bias = torch.ops.aten.convolution_backward(
            gradient, images, weight, [len(weight)], stride, padding, [1, 1], False, [0, 0], 1,
            [False, *ctx.needs_input_grad[1:3]],
        )  # fmt: skip
        return to_images, to_weight, to_bias, None


class ImageConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for a last layer, faster where images have few channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, output_padding: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, output_padding)
        self.geometry = {"kernel_size": kernel, "stride": stride, "padding": padding}
        self.added = kernel - stride - 2 * padding + output_padding

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = (self.geometry["stride"] * extent + self.added for extent in input.shape[2:])
        image = add_patches(input, self.weight, (height, width), self.geometry)
        return image if self.bias is None else image + self.bias[:, None, None]


def add_patches(values: Tensor, weight: Tensor, size: tuple[int, int], geometry: dict[str, int]) -> Tensor:
    """A transposed convolution: a matrix product makes of each place a patch of the image, and patches add up.

    Args:
        values: (n, c, h, w).
        weight: (c, channels, kernel, kernel).
        size: height and width of the images (n, channels, height, width).
    """
    patches = values.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)  # (n, places, values of a patch)
    exact = torch.promote_types(patches.dtype, torch.float32)  # sums in half precision are slower, and rounded
    return F.fold(patches.transpose(1, 2).to(exact), size, **geometry)


class Flatten(nn.Flatten):
    """Images (n, c, h, w) -> (n, h w c), in Keras's order, which in channels_last is that of the memory: no copy."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input.permute(0, 2, 3, 1).flatten(1)


class Unflatten(nn.Module):
    """(n, h w c), in Keras's order, -> images (n, c, h, w) in channels_last: no copy."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width, channels)

    @override
    def forward(self, values: Tensor) -> Tensor:
        return values.unflatten(1, self.size).permute(0, 3, 1, 2)

    @override
    def extra_repr(self) -> str:
        return f"rows, columns, channels={self.size}"
