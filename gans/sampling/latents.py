"""Latents between others, and closer to 0 than drawn."""

import math

import torch
from torch import Tensor

from gans.generator import Interpolate

PARALLEL = 1e-6
"""The sine of an angle below which a sphere is flat: the formula would divide by it."""


def spherical(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Latents (n, size) on the way along great circles (White 2016, section 2.1).

    Normal latents of many dimensions have about the same norm. Along a straight line it would fall in the middle to 0.7
    of that, where the network was hardly trained.
    """
    first, second = start.double(), end.double()
    norms = first.norm(dim=1, keepdim=True) * second.norm(dim=1, keepdim=True)
    cosine = (first * second).sum(1, keepdim=True) / norms.clamp(min=torch.finfo(norms.dtype).tiny)
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    along = (((1 - share) * angle).sin() * first + (share * angle).sin() * second) / sine.clamp(min=PARALLEL)
    return torch.where(sine > PARALLEL, along, torch.lerp(first, second, share)).to(start.dtype)


def linear(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Latents (n, size) on straight lines."""
    return torch.lerp(start, end, share)


INTERPOLATIONS: dict[str, Interpolate] = {"spherical": spherical, "linear": linear}


def truncate(latents: Tensor, largest: float) -> Tensor:
    """Latents of the normal distribution cut off at ±largest, in place of normal ones (Brock et al. 2019, section 3.1).

    The paper draws values beyond the limit again, until they lie within. Here each value moves to its own quantile of
    that same distribution: a seed's images change gradually with the limit, and a small limit costs no more draws.
    """
    root = math.sqrt(2)
    quantiles = torch.erf(latents.double() / root) * math.erf(largest / root)
    return (root * torch.erfinv(quantiles)).to(latents.dtype).clamp(-largest, largest)
