"""Convolutions that are faster on a CPU: those of images with one channel, and weights' gradients in bfloat16."""

from math import gcd
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

Gradients = tuple[Tensor | None, ...]

WORTH_COPYING = 128
"""Values of a row of a patch, from which on a product of copied patches is faster than a convolution's own gradient."""


class Geometry(NamedTuple):
    """What a convolution has the same of in both directions."""

    kernel: int
    stride: int
    padding: int

    @classmethod
    def of(cls, layer: nn.Conv2d | nn.ConvTranspose2d) -> "Geometry":
        return cls(layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))


class Conv2d(nn.Conv2d):
    """nn.Conv2d for many channels, whose weights' gradient in bfloat16 is faster."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or not (self.training and input.is_cpu and by_products(input, self.weight)):
            return super().forward(input)
        return _Convolution.apply(input, self.weight, self.bias, Geometry.of(self))


class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for many channels, whose bias's gradient is faster, and weights' gradient in bfloat16."""

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or input.dim() != 4 or not (self.training and input.is_cpu):
            return super().forward(input, output_size)
        return _TransposedConvolution.apply(input, self.weight, self.bias, Geometry.of(self), self.output_padding)


class ImageConv2d(nn.Conv2d):
    """nn.Conv2d for a first layer, whose gradient with respect to the images is faster.

    Images have few channels, on which a CPU's transposed convolutions, made for many, waste most of their work.
    """

    @override
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or not (input.requires_grad and input.is_cpu):
            return super().forward(input)
        return _ImageConvolution.apply(input, self.weight, self.bias, Geometry.of(self))


class ImageConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for a last layer, faster where images have few channels."""

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or input.dim() != 4 or not input.is_cpu:
            return super().forward(input, output_size)
        geometry = Geometry.of(self)
        added = geometry.kernel - geometry.stride - 2 * geometry.padding + self.output_padding[0]
        height, width = (geometry.stride * extent + added for extent in input.shape[2:])
        image = add_patches(input, self.weight, (height, width), geometry)
        return image if self.bias is None else image + self.bias[:, None, None]


class _Convolution(torch.autograd.Function):
    """Of the older kind: with ``setup_context`` each call looks up the signature of ``forward`` and binds it."""

    @staticmethod
    @override
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
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


class _TransposedConvolution(torch.autograd.Function):
    @staticmethod
    @override
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, output_padding: tuple[int, ...]
    ) -> Tensor:
        ctx.save_for_backward(values, weight)
        ctx.geometry, ctx.output_padding = geometry, output_padding
        return F.conv_transpose2d(values, weight, bias, geometry.stride, geometry.padding, output_padding)

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """The bias's gradient as a sum: PyTorch's own backward takes a fifth of its time, in bfloat16, for it."""
        values, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        geometry: Geometry = ctx.geometry
        to_values, to_weight, to_bias = ctx.needs_input_grad[:3]
        products = to_weight and not torch.is_grad_enabled() and by_products(gradient, weight)
        wanted = (to_values, to_weight and not products, False)
        found = _gradients(gradient, values, weight, geometry, wanted, ctx.output_padding)
        by_patches = product_of_patches(values, gradient, geometry) if products else found[1]
        return found[0], by_patches, gradient.sum((0, 2, 3)) if to_bias else None, None, None


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

    Each thread multiplies the images that it made the rows of, where threads can share the images equally. Where all
    threads read all rows, these move from one core's cache to the other's, which takes long where cores share no cache.

    Args:
        coarse: (n, c, h, w), the gradient of a convolution's result, or the values that a transposed one reads.
        fine: (n, f, height, width), the values that a convolution reads, or the gradient of a transposed one's result.

    Returns:
        (c, f, kernel, kernel), float32 or better, in channels_last.
    """
    kernel, stride, padding = geometry
    (count, coarse_channels, down, across), (_, fine_channels, height, width) = coarse.shape, fine.shape
    wide = (across - 1) * stride + kernel
    padded = F.pad(fine.permute(0, 2, 3, 1), (0, 0, padding, wide - width - padding)).contiguous()
    line, row = wide * fine_channels, kernel * fine_channels
    strides = (height * line, stride * line, stride * fine_channels, 1)
    places = coarse.permute(0, 2, 3, 1)
    parts = gcd(count, torch.get_num_threads())
    products = coarse.new_empty(kernel, parts, coarse_channels, row)
    for index, product in enumerate(products):
        above = padding - index  # lines of the image's border that the row of the first places sees
        first = max(0, -(-above // stride))
        last = max(first, min(down, (height - 1 + above) // stride + 1))
        left = places[:, first:last].reshape(parts, -1, coarse_channels).transpose(1, 2)
        rows = padded.as_strided((count, last - first, across, row), strides, (first * stride - above) * line)
        torch.bmm(left, rows.reshape(parts, -1, row), out=product)
    exact = torch.promote_types(products.dtype, torch.float32)
    found = torch.empty(coarse_channels, kernel, row, dtype=exact, device=products.device)
    torch.sum(products, 1, dtype=exact, out=found.transpose(0, 1))
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
