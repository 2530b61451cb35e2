"""Stabilizers that act on the networks' weights."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import is_parametrized
from typing_extensions import override

from gans.errors import InputError
from gans.stabilize.base import Stabilizer
from gans.stabilize.layers import WEIGHTED
from gans.update import ScoredBatch

if TYPE_CHECKING:
    from gans.gan import GAN


class WeightClipping(Stabilizer):
    """Every weight of the critic is clipped to [-limit, limit] after its update (Arjovsky et al. 2017, algorithm 1).

    Of two updates in a step, after the second.
    """

    def __init__(self, limit: PositiveFloat = 0.01) -> None:
        super().__init__()
        self.limit = limit

    def attach(self, gan: GAN) -> None:
        if any(isinstance(other, SpectralNorm) for other in gan.stabilizers):
            raise InputError(
                "stabilize=[spectral_norm,weight_clipping]: spectral norm divides each weight by its size, so that "
                "clipping would change next to nothing: use one of them"
            )

    @override
    @torch.no_grad()
    def after_discriminator(self, gan: GAN, batches: list[ScoredBatch]) -> None:
        for weight in gan.discriminator.parameters():
            weight.clamp_(-self.limit, self.limit)


class SpectralNorm(Stabilizer):
    """Every weight matrix of the discriminator is divided by its largest singular value (Miyato et al. 2018, eq. 8).

    One power iteration a pass, as in their algorithm 1, after 15 at the start.
    """

    def __init__(self, power_iterations: PositiveInt = 1) -> None:
        super().__init__()
        self.power_iterations = power_iterations

    def attach(self, gan: GAN) -> None:
        layers = [module for module in gan.discriminator.modules() if isinstance(module, WEIGHTED)]
        if not layers:
            raise InputError(
                f"stabilize.spectral_norm divides weight matrices, and {type(gan.discriminator).__name__} has none: "
                "use another model, such as model=mlp"
            )
        if any(not bool(layer.weight.any()) for layer in layers):
            raise InputError(
                "stabilize.spectral_norm divides each weight matrix by its size, and "
                f"{type(gan.discriminator).__name__} has some that begin at 0: use another model, such as model=dcgan"
            )
        for layer in layers:
            if not is_parametrized(layer, "weight"):
                parametrizations.spectral_norm(layer, n_power_iterations=self.power_iterations)


class EMA(Stabilizer):
    """Samples are drawn from an exponential moving average of the generator's weights (Yazıcı et al. 2019, equation 3).

    average <- decay * average + (1 - decay) * weights, after each update of the generator; buffers, such as
    BatchNorm's, are copied. The average begins at the initial weights. Default: Karras et al. 2018 and most since.
    """

    average: nn.Module

    def __init__(self, decay: Annotated[float, Field(ge=0, lt=1)] = 0.999) -> None:
        super().__init__()
        self.decay = decay

    def attach(self, gan: GAN) -> None:
        self.average = deepcopy(gan.generator).requires_grad_(False)

    @torch.no_grad()
    def after_generator(self, gan: GAN) -> None:
        torch._foreach_lerp_(list(self.average.parameters()), list(gan.generator.parameters()), 1 - self.decay)
        for kept, now in zip(self.average.buffers(), gan.generator.buffers(), strict=True):
            kept.copy_(now)

    @override
    def sampling_generator(self, generator: nn.Module) -> nn.Module:
        return self.average
