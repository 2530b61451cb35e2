"""Stabilizers that change the players' learning rates, their number of updates, or the updates themselves."""

from collections.abc import Callable, Iterable
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Optimizer

from gans.stabilize.base import StabilizedGAN, Stabilizer


class TwoTimeScales(Stabilizer):
    """Multiplies the discriminator's learning rate (Heusel et al. 2017). Default: Zhang et al. 2019, section 4."""

    def __init__(self, ratio: PositiveFloat = 4.0) -> None:
        super().__init__()
        self.ratio = ratio

    def attach(self, gan: StabilizedGAN) -> None:
        generator, discriminator = gan.optimizer_factories

        def faster(weights: Iterable[nn.Parameter]) -> Optimizer:
            optimizer = discriminator(weights)
            for group in optimizer.param_groups:
                group["lr"] *= self.ratio
            return optimizer

        gan.optimizer_factories = (generator, faster)


class LearningRateDecay(Stabilizer):
    """Both learning rates fall linearly to ``final`` times their initial value over the first ``steps`` steps.

    Gulrajani et al. 2017, appendix F, let them fall to 0 at the end of training; here they stay at ``final``.
    """

    def __init__(self, steps: PositiveInt = 10_000, final: Annotated[float, Field(ge=0, lt=1)] = 0.01) -> None:
        super().__init__()
        self.steps = steps
        self.final = final

    def attach(self, gan: StabilizedGAN) -> None:
        def decay(optimizer: Optimizer, *_: object) -> None:
            factor = max(self.final, 1 - (1 - self.final) * gan.training_steps / self.steps)
            for group in optimizer.param_groups:
                group["lr"] = factor * group.setdefault("initial_lr", group["lr"])

        def decaying(optimizer: Optimizer) -> Optimizer:
            optimizer.register_step_pre_hook(decay)
            return optimizer

        wrap_optimizers(gan, decaying)


class DiscriminatorSteps(Stabilizer):
    """Updates the discriminator in every training step, the generator in every ``steps``-th (Goodfellow et al. 2014).

    A training step is one batch, so one iteration of the papers takes ``steps`` training steps. Default: Arjovsky et
    al. 2017, algorithm 1.
    """

    def __init__(self, steps: PositiveInt = 5) -> None:
        super().__init__()
        self.steps = steps

    def skips_generator(self, step: int) -> bool:
        return (step + 1) % self.steps != 0


class Optimism(Stabilizer):
    """Twice each update minus the last update (Daskalakis et al. 2018, equation 7 and algorithm 1).

    w <- w + 2 u(t) - u(t - 1), where u(t) is the update of the player's optimizer; with Adam it is the paper's
    optimistic Adam. The algorithm begins with m(0) = 0, so that its first move is twice the update; here the first is
    plain. With discriminator_updates=alternating, the last update is that of the other kind of samples.
    """

    def attach(self, gan: StabilizedGAN) -> None:
        wrap_optimizers(gan, optimistic)


def wrap_optimizers(gan: StabilizedGAN, wrap: Callable[[Optimizer], Optimizer]) -> None:
    """Pass both players' optimizers through a function when they are made."""
    first, second = gan.optimizer_factories
    gan.optimizer_factories = (lambda weights: wrap(first(weights)), lambda weights: wrap(second(weights)))


def optimistic(optimizer: Optimizer) -> Optimizer:
    """Make an optimizer's steps optimistic. The last update is in its state, so checkpoints save it."""
    before: dict[Tensor, Tensor] = {}

    def weights() -> list[Tensor]:
        return [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]

    def save_weights(*_: object) -> None:
        before.update({weight: weight.detach().clone() for weight in weights()})

    @torch.no_grad()
    def extrapolate(*_: object) -> None:
        for weight in weights():
            update = weight - before[weight]
            state = optimizer.state[weight]
            if "previous_update" in state:  # the first step has none, and is plain
                weight.add_(update).sub_(state["previous_update"])
            state["previous_update"] = update

    optimizer.register_step_pre_hook(save_weights)
    optimizer.register_step_post_hook(extrapolate)
    return optimizer
