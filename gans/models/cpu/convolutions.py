"""Convolutions with faster forward or backward passes on a CPU, for images with one channel and for bfloat16."""

from math import gcd
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Gradients = tuple[Tensor | None, ...]

MIN_ROW_SIZE = 128
"""Values in a row of a patch from which a product of copied patches is faster than PyTorch's gradient."""


class Geometry(NamedTuple):
    """A convolution's kernel size, stride and padding in pixels, equal in both directions."""

    kernel: int
    stride: int
    padding: int

    @classmethod
    def of(cls, layer: nn.Conv2d | nn.ConvTranspose2d) -> "Geometry":
        return cls(layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))


class Conv2d(nn.Conv2d):
    """nn.Conv2d for many channels, with a faster gradient of the weights in bfloat16."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight  # read once: under spectral norm each reading is a power iteration
        if input.dim() != 4 or not (self.training and input.is_cpu and prefers_patches(input, weight)):
            return self._conv_forward(input, weight, self.bias)
        return _Convolution.apply(input, weight, self.bias, Geometry.of(self))


class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for many channels: faster gradients of the bias, and of the weights in bfloat16."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or input.dim() != 4 or not (self.training and input.is_cpu):
            return super().forward(input, output_size)
        return _TransposedConvolution.apply(input, self.weight, self.bias, Geometry.of(self), self.output_padding)


class ImageConv2d(nn.Conv2d):
    """nn.Conv2d for a first layer, with a faster gradient with respect to the images.

    PyTorch computes it as a transposed convolution for many channels, which wastes most of its work on one channel.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or not (input.requires_grad and input.is_cpu):
            return super().forward(input)
        return _ImageConvolution.apply(input, self.weight, self.bias, Geometry.of(self))


class ImageConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d for a last layer, faster for images with few channels."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or input.dim() != 4 or not input.is_cpu:
            return super().forward(input, output_size)
        geometry = Geometry.of(self)
        added = geometry.kernel - geometry.stride - 2 * geometry.padding + self.output_padding[0]
        height, width = (geometry.stride * extent + added for extent in input.shape[2:])
        image = add_patches(input, self.weight, (height, width), geometry)
        return image if self.bias is None else image + self.bias[:, None, None]


class _Convolution(torch.autograd.Function):
    """Without ``setup_context``, with which each call would inspect the signature of ``forward``."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
        return F.conv2d(images, weight, bias, geometry.stride, geometry.padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        images, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        needed = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # gradient penalties need differentiable gradients
            return *_gradients(gradient, images, weight, ctx.geometry, needed), None
        to_images, _, _ = _gradients(gradient, images, weight, ctx.geometry, (needed[0], False, False))
        to_weight = product_of_patches(gradient, images, ctx.geometry) if needed[1] else None
        return to_images, to_weight, gradient.sum((0, 2, 3)) if needed[2] else None, None


class _TransposedConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, output_padding: tuple[int, ...]
    ) -> Tensor:
        ctx.save_for_backward(values, weight)
        ctx.geometry, ctx.output_padding = geometry, output_padding
        return F.conv_transpose2d(values, weight, bias, geometry.stride, geometry.padding, output_padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """The bias's gradient is a sum here; PyTorch's backward pass spends a fifth of its time on it in bfloat16."""
        values, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        geometry: Geometry = ctx.geometry
        to_values, to_weight, to_bias = ctx.needs_input_grad[:3]
        by_patches = to_weight and not torch.is_grad_enabled() and prefers_patches(gradient, weight)
        needed = (to_values, to_weight and not by_patches, False)
        of_values, of_weight, _ = _gradients(gradient, values, weight, geometry, needed, ctx.output_padding)
        if by_patches:
            of_weight = product_of_patches(values, gradient, geometry)
        return of_values, of_weight, gradient.sum((0, 2, 3)) if to_bias else None, None, None


class _ImageConvolution(_Convolution):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """Differentiable, for gradient penalties."""
        images, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        needed = (False, *ctx.needs_input_grad[1:3])
        to_images = add_patches(gradient, weight, images.shape[2:], ctx.geometry) if ctx.needs_input_grad[0] else None
        _, to_weight, to_bias = _gradients(gradient, images, weight, ctx.geometry, needed)
        return to_images, to_weight, to_bias, None


def _gradients(
    gradient: Tensor,
    input: Tensor,
    weight: Tensor,
    geometry: Geometry,
    needed: tuple[bool, ...],
    output_padding: tuple[int, ...] | None = None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """PyTorch's gradients of a convolution, or with output_padding of a transposed one: of input, weight and bias."""
    stride, padding = [geometry.stride] * 2, [geometry.padding] * 2
    transposed, extra = output_padding is not None, list(output_padding or (0, 0))
    return torch.ops.aten.convolution_backward(
        gradient, input, weight, [gradient.shape[1]], stride, padding, [1, 1], transposed, extra, 1, list(needed)
    )


def prefers_patches(values: Tensor, weight: Tensor) -> bool:
    """Whether ``product_of_patches`` is faster than PyTorch's gradient of weights (c, f, kernel, kernel)."""
    return values.dtype == torch.bfloat16 and weight.shape[1] * weight.shape[2] >= MIN_ROW_SIZE


def product_of_patches(coarse: Tensor, fine: Tensor, geometry: Geometry) -> Tensor:
    """The gradient of a convolution's weights, as one matrix product for each row of the kernel.

    The product is of ``coarse`` at all places with the rows of the patches of ``fine`` that belong to these places. If
    the threads can share the images equally, each thread multiplies the rows that it has copied: rows that all threads
    read would have to move from one core's cache to another's.

    Args:
        coarse: (n, c, h, w), the gradient of a convolution's output, or the input of a transposed convolution.
        fine: (n, f, height, width), the input of a convolution, or the gradient of a transposed convolution's output.

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
        above = padding - index  # rows of padding above the image that the first row of places would read
        first = max(0, -(-above // stride))
        last = max(first, min(down, (height - 1 + above) // stride + 1))
        left = places[:, first:last].reshape(parts, -1, coarse_channels).transpose(1, 2)
        rows = padded.as_strided((count, last - first, across, row), strides, (first * stride - above) * line)
        torch.bmm(left, rows.reshape(parts, -1, row), out=product)
    dtype = torch.promote_types(products.dtype, torch.float32)
    weight = torch.empty(coarse_channels, kernel, row, dtype=dtype, device=products.device)
    torch.sum(products, 1, dtype=dtype, out=weight.transpose(0, 1))
    return weight.view(coarse_channels, kernel, kernel, fine_channels).permute(0, 3, 1, 2)


def add_patches(values: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """A transposed convolution: a matrix product makes one patch of the image per place, and ``fold`` adds them up.

    Args:
        values: (n, c, h, w).
        weight: (c, channels, kernel, kernel).
        size: height and width of the images (n, channels, height, width).
    """
    patches = values.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)  # (n, places, values of a patch)
    dtype = torch.promote_types(patches.dtype, torch.float32)  # sums in half precision are slower and less exact
    patches = patches.transpose(1, 2).to(dtype)
    return F.fold(patches, size, geometry.kernel, padding=geometry.padding, stride=geometry.stride)
