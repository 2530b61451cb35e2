"""PyTorch's convolutions, faster on a CPU: those of images, with few channels, and weights' gradients in bfloat16."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None, None]

WORTH_COPYING = 128
"""Values of a row of a patch, from which on a product of copied patches is faster than a convolution's own gradient."""


class Geometry(NamedTuple):
    """What a convolution has the same of in both directions."""

    kernel: int
    stride: int
    padding: int


class Conv2d(nn.Conv2d):
    """nn.Conv2d for many channels, whose weights' gradient in bfloat16 is faster."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.geometry = Geometry(kernel, stride, padding)

    @override
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or not (self.training and input.is_cpu and by_products(input, self.weight)):
            return super().forward(input)
        return _Convolution.apply(input, self.weight, self.bias, self.geometry)


class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for many channels, whose bias's gradient is faster, and weights' gradient in bfloat16."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, output_padding: int = 0
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, output_padding)
        self.geometry = Geometry(kernel, stride, padding)

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or input.dim() != 4 or not (self.training and input.is_cpu):
            return super().forward(input, output_size)
        return _TransposedConvolution.apply(input, self.weight, self.bias, (self.geometry, self.output_padding))


class ImageConv2d(nn.Conv2d):
    """nn.Conv2d for a first layer, whose gradient with respect to the images is faster.

    Images have few channels, on which a CPU's transposed convolutions, made for many, waste most of their work.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.geometry = Geometry(kernel, stride, padding)

    @override
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or not (input.requires_grad and input.is_cpu):
            return super().forward(input)
        return _ImageConvolution.apply(input, self.weight, self.bias, self.geometry)


class ImageConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for a last layer, faster where images have few channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, output_padding: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, output_padding)
        self.geometry = Geometry(kernel, stride, padding)
        self.added = kernel - stride - 2 * padding + output_padding

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or input.dim() != 4 or not input.is_cpu:
            return super().forward(input, output_size)
        height, width = (self.geometry.stride * extent + self.added for extent in input.shape[2:])
        image = add_patches(input, self.weight, (height, width), self.geometry)
        return image if self.bias is None else image + self.bias[:, None, None]


class _Function(torch.autograd.Function):
    """A convolution of (input, weight, bias, geometry), which keeps what its backward needs."""

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, _, ctx.geometry = inputs
        ctx.save_for_backward(input, weight)


class _Convolution(_Function):
    @staticmethod
    def forward(images: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
        return F.conv2d(images, weight, bias, geometry.stride, geometry.padding)

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        images, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # for a gradient's gradient
            return *_gradients(gradient, images, weight, ctx.geometry, wanted), None
        to_images, _, _ = _gradients(gradient, images, weight, ctx.geometry, (wanted[0], False, False))
        to_weight = product_of_patches(gradient, images, ctx.geometry) if wanted[1] else None
        return to_images, to_weight, gradient.sum((0, 2, 3)) if wanted[2] else None, None


class _TransposedConvolution(_Function):
    @staticmethod
    def forward(values: Tensor, weight: Tensor, bias: Tensor, shape: tuple[Geometry, tuple[int, ...]]) -> Tensor:
        geometry, output_padding = shape
        return F.conv_transpose2d(values, weight, bias, geometry.stride, geometry.padding, output_padding)

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """PyTorch's own takes a fifth of its time, in bfloat16, for the bias."""
        values, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        geometry, output_padding = ctx.geometry
        to_values, to_weight, to_bias = ctx.needs_input_grad[:3]
        products = to_weight and not torch.is_grad_enabled() and by_products(gradient, weight)
        wanted = (to_values, to_weight and not products, False)
        found = _gradients(gradient, values, weight, geometry, wanted, output_padding)
        by_patches = product_of_patches(values, gradient, geometry) if products else found[1]
        return found[0], by_patches, gradient.sum((0, 2, 3)) if to_bias else None, None


class _ImageConvolution(_Convolution):
    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """Of differentiable functions: a gradient penalty takes the gradient's gradient."""
        images, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        wanted = (False, *ctx.needs_input_grad[1:3])
        to_images = add_patches(gradient, weight, images.shape[2:], ctx.geometry) if ctx.needs_input_grad[0] else None
        _, to_weight, to_bias = _gradients(gradient, images, weight, ctx.geometry, wanted)
        return to_images, to_weight, to_bias, None


def _gradients(
    gradient: Tensor,
    input: Tensor,
    weight: Tensor,
    geometry: Geometry,
    wanted: tuple[bool, ...],
    output_padding: tuple[int, ...] | None = None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """PyTorch's own gradients of a convolution, or of a transposed one where output_padding is given."""
    stride, padding = [geometry.stride] * 2, [geometry.padding] * 2
    transposed, more = output_padding is not None, list(output_padding or (0, 0))
    return torch.ops.aten.convolution_backward(
        gradient, input, weight, [gradient.shape[1]], stride, padding, [1, 1], transposed, more, 1, list(wanted)
    )


def by_products(values: Tensor, weight: Tensor) -> bool:
    """Whether the gradient of weights (coarse channels, fine channels, kernel, kernel) is faster by products."""
    return values.dtype == torch.bfloat16 and weight.shape[1] * weight.shape[2] >= WORTH_COPYING


def product_of_patches(coarse: Tensor, fine: Tensor, geometry: Geometry) -> Tensor:
    """The gradient of a convolution's weights: for each row of the kernel a product of the values of one side, at all
    places of all images, with the rows of patches of the other side that these places see.

    Args:
        coarse: (n, c, h, w), the gradient of a convolution's result, or the values that a transposed one reads.
        fine: (n, f, height, width), the values that a convolution reads, or the gradient of a transposed one's result.

    Returns:
        (c, f, kernel, kernel), in channels_last.
    """
    kernel, stride, padding = geometry
    (count, coarse_channels, *places), (_, fine_channels, *sizes) = coarse.shape, fine.shape
    high, wide = ((extent - 1) * stride + kernel for extent in places)
    below, right = (seen - size - padding for seen, size in zip((high, wide), sizes, strict=True))
    padded = F.pad(fine.permute(0, 2, 3, 1), (0, 0, padding, right, padding, below)).contiguous()
    line, row = wide * fine_channels, kernel * fine_channels
    strides = (high * line, stride * line, stride * fine_channels, 1)
    left = coarse.permute(0, 2, 3, 1).flatten(0, 2).T
    found = coarse.new_empty(coarse_channels, kernel, row)
    for index in range(kernel):
        rows = padded.as_strided((count, *places, row), strides, index * line)
        torch.mm(left, rows.flatten(0, 2), out=found[:, index])
    return found.view(coarse_channels, kernel, kernel, fine_channels).permute(0, 3, 1, 2)


def add_patches(values: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """A transposed convolution: a matrix product makes of each place a patch of the image, and patches add up.

    Args:
        values: (n, c, h, w).
        weight: (c, channels, kernel, kernel).
        size: height and width of the images (n, channels, height, width).
    """
    patches = values.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)  # (n, places, values of a patch)
    exact = torch.promote_types(patches.dtype, torch.float32)  # sums in half precision are slower, and rounded
    return F.fold(
        patches.transpose(1, 2).to(exact), size, geometry.kernel, padding=geometry.padding, stride=geometry.stride
    )
