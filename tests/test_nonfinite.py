"""Values that are no numbers: caught at their step, named, and never saved."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gans.data.batches import Batch
from gans.gan import GAN
from gans.nonfinite import NonFiniteDetector, NonFiniteError, require_finite_state
from tests.training import points_gan, random_points, scored_batch, train

Injection = Callable[[GAN, Batch, float], None]


def into_data(_: GAN, batch: Batch, value: float) -> None:
    batch.images[3, 1] = value


def into_weights_of(network: str) -> Injection:
    def inject(gan: GAN, _: Batch, value: float) -> None:
        with torch.no_grad():
            next(gan.get_submodule(network).parameters()).view(-1)[7] = value

    return inject


def into_loss_of(player: str) -> Injection:
    def inject(gan: GAN, _: Batch, value: float) -> None:
        terms = getattr(gan, f"{player}_terms")
        setattr(gan, f"{player}_terms", lambda batch: {name: term + value for name, term in terms(batch).items()})

    return inject


def into_gradient_of(network: str) -> Injection:
    def inject(gan: GAN, _: Batch, value: float) -> None:
        last = list(gan.get_submodule(network).parameters())[-1]
        last.register_hook(lambda gradient: torch.full_like(gradient, value))

    return inject


CASES: dict[str, tuple[Injection, str]] = {
    "data": (into_data, "training data"),
    "generator's weights": (into_weights_of("generator"), r"weight generator\.\S+"),
    "discriminator's weights": (into_weights_of("discriminator"), r"weight discriminator\.\S+"),
    "discriminator's loss": (into_loss_of("discriminator"), "discriminator's adversarial loss"),
    "generator's loss": (into_loss_of("generator"), "generator's adversarial loss"),
    "discriminator's gradient": (into_gradient_of("discriminator"), r"gradient of discriminator\.\S+"),
    "generator's gradient": (into_gradient_of("generator"), r"gradient of generator\.\S+"),
}


def trained_with(inject: Injection, value: float, at_step: int, every: int = 1) -> tuple[GAN, str]:
    """A GAN in which a fault came up in a step, counted from 1, and what was said of it.

    Args:
        every: the detector is read every so many steps.
    """

    class Faulty(GAN):
        def training_step(self, data: Batch, data_index: int) -> None:
            self.non_finite_detector.every = every
            if self.training_steps == at_step - 1:
                inject(self, data, value)
            super().training_step(data, data_index)

    gan = points_gan()
    gan.__class__ = Faulty
    with pytest.raises(NonFiniteError) as fault:
        train(gan, [random_points(seed=seed) for seed in range(8)])
    assert fault.value.training_step == at_step
    return gan, str(fault.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_named_and_caught_before_it_reaches_a_weight(case: str, value: float) -> None:
    inject, named = CASES[case]
    gan, fault = trained_with(inject, value, at_step=4)
    assert gan.training_steps == 3
    assert re.search(named, fault)
    if "weights" not in case:
        assert all(weight.isfinite().all() for weight in gan.parameters())


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_verdict_that_is_read_later_names_the_step_of_the_fault(player: str) -> None:
    """As on a GPU, where each look would make the host wait."""
    gan, _ = trained_with(into_loss_of(player), math.nan, at_step=3, every=5)
    assert gan.training_steps == 4  # it was read in the fifth


def test_huge_but_finite_gradients_are_no_fault() -> None:
    network = nn.Linear(10, 10)
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 1e30)  # its square is not finite in float32
    optimizer = torch.optim.SGD(network.parameters())
    detector, batch = NonFiniteDetector(), scored_batch(torch.zeros(2))
    detector.check("generator", torch.zeros(()), optimizer, batch, {}, network, 1)
    assert network.bias.grad is not None
    network.bias.grad[4] = math.inf
    with pytest.raises(NonFiniteError, match="gradient of bias"):
        detector.check("generator", torch.zeros(()), optimizer, batch, {}, network, 1)


def test_a_state_that_is_not_finite_is_refused() -> None:
    """Of a checkpoint: weights, buffers, and the optimizers' moments."""
    gan = train(points_gan(), [random_points()])
    optimizers = gan.configure_optimizers()
    require_finite_state(gan, optimizers, 1)
    weight, average = next(gan.discriminator.parameters()), next(gan.generator.buffers())
    for values, named in (
        (optimizers[1].state[weight]["exp_avg"], "exp_avg"),
        (average, "running_mean"),
        (weight.data, "layers"),
    ):
        kept = values.clone()
        values.view(-1)[0] = math.inf
        with pytest.raises(NonFiniteError, match=named):
            require_finite_state(gan, optimizers, 1)
        values.copy_(kept)
    require_finite_state(gan, optimizers, 1)
