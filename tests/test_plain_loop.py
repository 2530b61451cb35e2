"""The trainer's step against a loop as one writes it: same images, latents and dropout masks.

In double precision, where only a mistake can set them apart: a GAN amplifies rounding, and the slope of a LeakyReLU
jumps where rounding takes an activation over 0, so that in single precision two right ways may part by 0.1 in 50 steps.
There the first steps are compared, with what rounding is seen to do to them, ten times over.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from typing_extensions import override

from gans.config.build import build_gan
from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.cpu.dropout import Dropout
from gans.models.cpu.layers import use_plain_layers
from gans.randomness import Streams
from tests.configs import run_config
from tests.training import random_batch, train

Losses = list[dict[str, float]]
Loss = Callable[[Tensor, Tensor, bool], Tensor]
"""(outputs, labels, whether real is the target) -> what is paid."""


def adversarial(outputs: Tensor, _: Tensor, real: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs[:, 0], torch.full_like(outputs[:, 0], float(real)))


def bounded(outputs: Tensor, _: Tensor, real: bool) -> Tensor:
    """The report's WGAN: the critic's output is a sigmoid, and its mean is what is played for."""
    return outputs[:, 0].sigmoid().mean() if real else -outputs[:, 0].sigmoid().mean()


def with_class(outputs: Tensor, labels: Tensor, real: bool) -> Tensor:
    return adversarial(outputs, labels, real) + F.cross_entropy(outputs[:, 1:], labels)


@dataclass(frozen=True)
class Report:
    """How a report trains one of its models."""

    objective: str
    loss: Loss
    rate: float
    beta: float
    alternating: bool = False
    generator_batches: int = 1


REPORTS = {
    "dcgan": Report("bce", adversarial, 1e-3, 0.9),
    "acgan": Report("bce", with_class, 2e-4, 0.5, alternating=True, generator_batches=2),
    "wgan": Report("wasserstein_bounded", bounded, 1e-3, 0.9),
    "autoencoder": Report("bce", adversarial, 2e-4, 0.5),
}


class GivenMasks(nn.Module):
    """Dropout with masks that are given, in the layout of what it is applied to."""

    def __init__(self, masks: Iterator[Tensor]) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, values: Tensor) -> Tensor:
        return values * next(self.masks).to(values.dtype).contiguous() if self.training else values


class LossesOfSteps(Callback):
    def __init__(self) -> None:
        self.losses: Losses = []

    @override
    def on_train_batch_end(self, trainer: object, pl_module: GAN, *_: object) -> None:
        means = pl_module.means.pop()
        self.losses.append({player: means[f"{player}_loss"] for player in ("discriminator", "generator")})


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    """All that is made inside is of this type."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def trained(
    gan: GAN, batches: list[Batch], monkeypatch: pytest.MonkeyPatch, precision: str
) -> tuple[Losses, list[Tensor]]:
    """The trainer's losses, and the masks that dropout used."""
    masks: list[Tensor] = []
    mask = Dropout.mask

    def recorded(self: Dropout, like: Tensor) -> Tensor:
        made = mask(self, like)
        masks.append(made.clone())
        return made

    recorder = LossesOfSteps()
    with monkeypatch.context() as patch:
        patch.setattr(Dropout, "mask", recorded)
        train(gan, batches, callbacks=[recorder], precision=precision)
    return recorder.losses, masks


def plain_loop(gan: GAN, batches: list[Batch], masks: list[Tensor], report: Report) -> Losses:
    """A loop without trainer, fused optimizers, channels_last or this package's layers."""
    waiting = iter(masks)
    for module in list(gan.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Dropout):
                setattr(module, name, GivenMasks(waiting))
    use_plain_layers(gan)
    gan.to(memory_format=torch.contiguous_format)
    generator, discriminator = gan.generator, gan.discriminator
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=report.rate, betas=(report.beta, 0.999))
        for network in (generator, discriminator)
    )
    losses = []
    for step, batch in enumerate(batches):
        random = Streams(gan.seed, "train", step)("latent")
        count, real = len(batch.images), 2 * batch.images - 1 if generator.pixel_range[0] else batch.images

        inputs = generator.inputs(count, random, batch)
        with torch.no_grad():
            fake = generator.eval()(*inputs.arguments)
        generator.train()
        reals, fakes = (real, batch.labels, True), (fake, inputs.labels, False)
        paid = []
        for parts in [[reals], [fakes]] if report.alternating else [[fakes, reals]]:
            outputs = discriminator(torch.cat([images for images, _, _ in parts])).split(count)
            kinds = [report.loss(each, labels, real) for each, (_, labels, real) in zip(outputs, parts, strict=True)]
            paid.append(torch.stack(kinds).mean())
            discriminator_optimizer.zero_grad()
            paid[-1].backward()
            keras_step(discriminator_optimizer)

        inputs = generator.inputs(report.generator_batches * count, random, batch)
        earned = report.loss(discriminator(generator(*inputs.arguments)), inputs.labels, True)
        generator_optimizer.zero_grad()
        earned.backward()
        keras_step(generator_optimizer)
        losses.append({"discriminator": torch.stack(paid).mean().item(), "generator": earned.item()})
    assert next(waiting, None) is None, "the loop used fewer masks"
    return losses


def keras_step(optimizer: torch.optim.Adam) -> None:
    """A step whose epsilon is what Keras's 1e-7 is to PyTorch."""
    states = [int(state["step"]) for state in optimizer.state.values()]
    optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999 ** (states[0] + 1 if states else 1)) ** 0.5
    optimizer.step()


def both(
    monkeypatch: pytest.MonkeyPatch, model: str, dtype: torch.dtype, steps: int, precision: str
) -> tuple[GAN, GAN, float]:
    """The GAN that the trainer has trained, the one of the loop, and how far apart any of their losses are."""
    report = REPORTS[model]
    with default_type(dtype):
        drawn = (random_batch(8, seed) for seed in range(steps))
        batches = [Batch(batch.images.to(dtype), batch.labels) for batch in drawn]
        config = run_config("data=digits", f"model={model}", f"objective={report.objective}")
        ours, theirs = build_gan(config), build_gan(config)
        found, masks = trained(ours, batches, monkeypatch, precision)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed", cache_enabled=False):
            expected = plain_loop(theirs, batches, masks, report)
    apart = [abs(one[player] - other[player]) for one, other in zip(found, expected, strict=True) for player in one]
    assert len(apart) == 2 * steps
    return ours, theirs, max(apart)


@pytest.mark.parametrize(
    ("model", "steps", "losses", "weights"),
    [
        ("dcgan", 4, 1e-11, 1e-11),
        ("autoencoder", 20, 1e-11, 1e-11),
        *(pytest.param(model, 20, 1e-11, 1e-11, marks=pytest.mark.slow) for model in ("dcgan", "wgan")),
        # Adam makes whole steps of gradients that are rounding alone
        pytest.param("acgan", 6, 1e-10, 1e-7, marks=pytest.mark.slow),
    ],
)
def test_steps_are_those_of_a_plain_loop(
    monkeypatch: pytest.MonkeyPatch, model: str, steps: int, losses: float, weights: float
) -> None:
    """Losses, weights and BatchNorm's moving averages, to a hundred times what rounding has done to any."""
    ours, theirs, apart = both(monkeypatch, model, torch.float64, steps, "64-true")
    assert apart < losses
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (one - other).norm() < weights
    averages = [[each for each in gan.buffers() if each.is_floating_point()] for gan in (ours, theirs)]
    for one, other in zip(*averages, strict=True):
        assert (one - other).norm() < weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "precision", "steps", "losses"),
    [
        *((model, "32-true", 10, 1e-3) for model in ("dcgan", "autoencoder")),
        *((model, "bf16-mixed", 3, 0.01) for model in ("dcgan", "autoencoder")),
        ("acgan", "32-true", 1, 0.01),  # its second update follows a step of Adam's on signs of gradients
        ("acgan", "bf16-mixed", 1, 0.03),
    ],
)
def test_first_steps_in_the_precisions_that_people_train_in(
    monkeypatch: pytest.MonkeyPatch, model: str, precision: str, steps: int, losses: float
) -> None:
    _, _, apart = both(monkeypatch, model, torch.float32, steps, precision)
    assert apart < losses
