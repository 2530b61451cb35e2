"""Stabilizers that set how fast each player moves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Optimizer

from gans.stabilize.base import Stabilizer

if TYPE_CHECKING:
    from gans.gan import GAN, OptimizerFactory


class TwoTimeScales(Stabilizer):
    """The discriminator's learning rate times ``ratio`` (Heusel et al. 2017; 4 as in Zhang et al. 2019, section 4)."""

    def __init__(self, ratio: PositiveFloat = 4.0) -> None:
        super().__init__()
        self.ratio = ratio

    def attach(self, gan: GAN) -> None:
        generator, discriminator = gan.optimizer_factories

        def faster(weights: Iterable[nn.Parameter]) -> Optimizer:
            optimizer = discriminator(weights)
            for group in optimizer.param_groups:
                group["lr"] *= self.ratio
            return optimizer

        gan.optimizer_factories = (generator, faster)


class LearningRateDecay(Stabilizer):
    """Both players' learning rates fall linearly to ``final`` times their value over the first ``steps`` steps.

    After Gulrajani et al. 2017, appendix F, who let it fall to 0 over all of training; here it stays at ``final``.
    """

    def __init__(self, steps: PositiveInt = 10_000, final: Annotated[float, Field(ge=0, lt=1)] = 0.01) -> None:
        super().__init__()
        self.steps = steps
        self.final = final

    def attach(self, gan: GAN) -> None:
        def slowing(factory: OptimizerFactory) -> OptimizerFactory:
            def make(weights: Iterable[nn.Parameter]) -> Optimizer:
                optimizer = factory(weights)
                optimizer.register_step_pre_hook(slow)
                return optimizer

            return make

        def slow(optimizer: Optimizer, *_: object) -> None:
            share = max(self.final, 1 - (1 - self.final) * gan.training_steps / self.steps)
            for group in optimizer.param_groups:
                group["lr"] = share * group.setdefault("initial_lr", group["lr"])

        first, second = gan.optimizer_factories
        gan.optimizer_factories = (slowing(first), slowing(second))


class DiscriminatorSteps(Stabilizer):
    """The generator moves in every n-th training step only, the discriminator in each (Goodfellow et al. 2014).

    A training step is one batch, so that n of them are what the papers call one iteration. Default: Arjovsky et al.
    2017, algorithm 1.
    """

    def __init__(self, steps: PositiveInt = 5) -> None:
        super().__init__()
        self.steps = steps

    def skips_generator(self, step: int) -> bool:
        return (step + 1) % self.steps != 0


class Optimism(Stabilizer):
    """Each update goes twice as far and takes back the one before (Daskalakis et al. 2018, equation 7, algorithm 1).

    w <- w + 2 u(t) - u(t - 1), where u(t) is what the players' own optimizers do; with Adam: their optimistic Adam.
    Where reals and fakes come in two updates a step, each takes back the one before it, which was of the other kind.
    """

    def attach(self, gan: GAN) -> None:
        first, second = gan.optimizer_factories
        gan.optimizer_factories = (
            lambda weights: optimistic(first(weights)),
            lambda weights: optimistic(second(weights)),
        )


def optimistic(optimizer: Optimizer) -> Optimizer:
    """The optimizer, whose steps are optimistic from now on. What it must remember is in its state."""
    before: dict[Tensor, Tensor] = {}

    def weights() -> list[Tensor]:
        return [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]

    def remember(*_: object) -> None:
        before.update({weight: weight.detach().clone() for weight in weights()})

    @torch.no_grad()
    def look_ahead(*_: object) -> None:
        for weight in weights():
            update = weight - before[weight]
            state = optimizer.state[weight]
            weight.add_(update)
            if "previous_update" in state:
                weight.sub_(state["previous_update"])
            else:
                weight.sub_(update)  # the first step has nothing to take back
            state["previous_update"] = update

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(look_ahead)
    return optimizer
