"""What networks share: Keras's initialisation and constants, as the reports' networks have them, and its layers."""

from functools import cache
from typing import cast

import torch
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

    On a CPU, where PyTorch's own draws its masks one number at a time on one thread, which took a fifth of a DCGAN's
    training step. The rate is the nearest multiple of 1/65,536, and what is kept is scaled by as much as keeps the
    expectation, rounded as numbers of the type are.
    """

    @override
    def forward(self, input: Tensor) -> Tensor:
        if not input.is_cpu or self.p == 1:
            return super().forward(input)
        return input * self.mask(input) if self.training and self.p else input

    def mask(self, like: Tensor) -> Tensor:
        """0, or 1 / (1 - rate); in the layout in memory of the values that it is for."""
        dropped = min(round(self.p * VALUES), VALUES - 1)
        words = random_words(-(-like.numel() // 4))
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

    In training on a CPU one factor for each value is both, slope times mask, which is a pass over the values less.
    """

    def __init__(self, negative_slope: float, rate: float) -> None:
        super().__init__(nn.LeakyReLU(negative_slope), Dropout(rate))

    @override
    def forward(self, input: Tensor) -> Tensor:
        activation, dropout = cast("tuple[nn.LeakyReLU, Dropout]", tuple(self))
        if not (input.is_cpu and self.training and 0 < dropout.p < 1):
            return super().forward(input)
        with torch.no_grad():
            mask = dropout.mask(input)
            factor = torch.ops.aten.leaky_relu_backward(mask, input, activation.negative_slope, False)
        return input * factor


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
