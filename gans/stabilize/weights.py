"""Stabilizers that change or average the networks' weights."""

from copy import deepcopy
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gans.errors import InputError
from gans.stabilize.base import StabilizedGAN, Stabilizer, refuse_beside
from gans.stabilize.layers import WEIGHTED
from gans.stabilize.rhythm import wrap_optimizers
from gans.update import ScoredBatch


class WeightClipping(Stabilizer):
    """Clips every weight of the critic to [-limit, limit] after its last update of a step (Arjovsky et al. 2017).

    Default: the paper's algorithm 1.
    """

    def __init__(self, limit: PositiveFloat = 0.01) -> None:
        super().__init__()
        self.limit = limit

    def attach(self, gan: StabilizedGAN) -> None:
        why = "spectral norm rescales each weight matrix, so clipping would have almost no effect"
        refuse_beside(gan, "weight_clipping", SpectralNorm, why)

    @torch.no_grad()
    def after_discriminator(self, gan: StabilizedGAN, batches: list[ScoredBatch]) -> None:
        for weight in gan.discriminator.parameters():
            weight.clamp_(-self.limit, self.limit)


class SpectralNorm(Stabilizer):
    """Divides every weight matrix of the discriminator by its largest singular value (Miyato et al. 2018, eq. 8).

    Default: one power iteration per forward pass, as in the paper's algorithm 1, after 15 initial ones.
    """

    def __init__(self, power_iterations: PositiveInt = 1) -> None:
        super().__init__()
        self.power_iterations = power_iterations

    def attach(self, gan: StabilizedGAN) -> None:
        layers = [module for module in gan.discriminator.modules() if isinstance(module, WEIGHTED)]
        if not layers:
            raise InputError(
                f"stabilize.spectral_norm divides weight matrices, but {type(gan.discriminator).__name__} has none: "
                "use another model, such as model=mlp"
            )
        if any(not bool(layer.weight.any()) for layer in layers):
            raise InputError(
                "stabilize.spectral_norm divides each weight matrix by its norm, but "
                f"{type(gan.discriminator).__name__} has some that begin at 0: use another model, such as model=dcgan"
            )
        for layer in layers:
            if not is_parametrized(layer, "weight"):
                parametrizations.spectral_norm(layer, n_power_iterations=self.power_iterations)


class EMA(Stabilizer):
    """Samples come from an exponential moving average of the generator's weights (Yazıcı et al. 2019, equation 3).

    average <- decay * average + (1 - decay) * weights, after each update of the generator, starting at the initial
    weights. Buffers, such as BatchNorm's, are copied. Default: Karras et al. 2018 and most later papers.
    """

    average: nn.Module

    def __init__(self, decay: Annotated[float, Field(ge=0, lt=1)] = 0.999) -> None:
        super().__init__()
        self.decay = decay

    def attach(self, gan: StabilizedGAN) -> None:
        self.average = deepcopy(gan.generator).requires_grad_(False)

    @torch.no_grad()
    def after_generator(self, gan: StabilizedGAN) -> None:
        averages, weights = list(self.average.parameters()), list(gan.generator.parameters())
        get_ema_multi_avg_fn(self.decay)(averages, weights, 0)  # the 0 is of other averages
        for target, source in zip(self.average.buffers(), gan.generator.buffers(), strict=True):
            target.copy_(source)

    def sampling_generator(self, generator: nn.Module) -> nn.Module:
        return self.average


class Lookahead(Stabilizer):
    """Every ``steps`` updates of G both players go back towards slow weights (Chavdarova et al. 2021, algorithm 1).

    Lookahead-minimax: slow <- slow + rate (weights - slow), then weights <- slow, for both at once. Slow weights begin
    as the initial ones; the optimizers' averages and BatchNorm's stay as they are. Defaults: the paper's. With
    stabilize=[lookahead,ema] EMA averages the weights after the return, with [ema,lookahead] those before.
    """

    def __init__(self, steps: Annotated[int, Field(ge=2)] = 5, rate: Annotated[float, Field(gt=0, lt=1)] = 0.5) -> None:
        super().__init__()
        self.steps = steps
        self.rate = rate
        self.slow = nn.ModuleList()  # the generator's weights, the discriminator's
        self.updates = 0  # on the host, so that no step waits for the device

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.updates)

    def set_extra_state(self, state: Tensor) -> None:
        self.updates = int(state)

    def attach(self, gan: StabilizedGAN) -> None:
        wrap_optimizers(gan, self.copy_weights)  # the weights are final when the optimizers are made

    def copy_weights(self, optimizer: Optimizer) -> Optimizer:
        copies = [nn.Parameter(weight.detach().clone(), requires_grad=False) for weight in weights_of(optimizer)]
        self.slow.append(nn.ParameterList(copies))
        return optimizer

    @torch.no_grad()
    def after_generator(self, gan: StabilizedGAN) -> None:
        self.updates += 1
        if self.updates % self.steps:
            return
        for slow, optimizer in zip(self.slow, gan.optimizers(), strict=True):
            kept: list[Tensor] = list(slow.parameters())
            weights = weights_of(optimizer)
            torch._foreach_lerp_(kept, weights, self.rate)  # private, but torch.optim's own: all weights in one call
            torch._foreach_copy_(weights, kept)


def weights_of(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
