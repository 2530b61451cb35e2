"""The trainer's step against a loop as one writes it: same images, latents and dropout masks, 50 steps.

In double precision, where only a mistake can set them apart: a GAN amplifies rounding, and the slope of a LeakyReLU
jumps where rounding takes an activation over 0, so that in single precision two right ways may part by 0.1 in 50 steps.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from typing_extensions import override

from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.layers import Dropout
from gans.randomness import Streams
from tests.conftest import as_pytorch_has_it
from tests.test_gan import random_batch, train

STEPS = 50
APART = 1e-11
"""Losses, and the weights of a layer, may differ by so much: a hundred times what rounding has done to any."""

Losses = list[dict[str, float]]
Loss = Callable[[Tensor, bool], Tensor]


class Given(nn.Module):
    """Dropout with masks that are given, in the layout of what it is applied to."""

    def __init__(self, masks: Iterator[Tensor]) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, values: Tensor) -> Tensor:
        return values * next(self.masks).to(values.dtype).contiguous() if self.training else values


class Recorded(Callback):
    """The losses of each step."""

    def __init__(self) -> None:
        self.losses: Losses = []

    @override
    def on_train_batch_end(self, trainer: object, pl_module: GAN, *_: object) -> None:
        means = pl_module.means.pop()
        self.losses.append({player: means[f"{player}_loss"] for player in ("discriminator", "generator")})


@pytest.fixture
def batches() -> Iterator[list[Batch]]:
    """In double precision, as all that is made while the test runs."""
    torch.set_default_dtype(torch.float64)
    drawn = (random_batch(8, seed) for seed in range(STEPS))
    yield [Batch(batch.images.double(), batch.labels) for batch in drawn]
    torch.set_default_dtype(torch.float32)


def fast(gan: GAN, batches: list[Batch], monkeypatch: pytest.MonkeyPatch) -> tuple[Losses, list[Tensor]]:
    """The trainer's losses, and the masks that dropout used."""
    masks: list[Tensor] = []
    mask = Dropout.mask

    def recorded(self: Dropout, like: Tensor) -> Tensor:
        masks.append(mask(self, like))
        return masks[-1]

    monkeypatch.setattr(Dropout, "mask", recorded)
    recorder = Recorded()
    train(gan, batches, callbacks=[recorder])
    return recorder.losses, masks


def adversarial(scores: Tensor, real: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def bounded(scores: Tensor, real: bool) -> Tensor:
    """The report's WGAN: the critic's output is a sigmoid, and its mean is what is played for."""
    return scores.sigmoid().mean() if real else -scores.sigmoid().mean()


def plain(gan: GAN, batches: list[Batch], masks: list[Tensor], loss: Loss, rate: float, beta: float) -> Losses:
    """A loop without trainer, fused optimizers, channels_last or this package's layers."""
    waiting = iter(masks)
    for module in list(gan.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Dropout):
                setattr(module, name, Given(waiting))
    as_pytorch_has_it(gan)
    gan.to(memory_format=torch.contiguous_format)
    generator, discriminator = gan.generator, gan.discriminator
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(beta, 0.999), eps=1e-7)
        for network in (generator, discriminator)
    )
    losses = []
    for step, batch in enumerate(batches):
        random = Streams(gan.seed, "train", step)("latent")
        count, real = len(batch.images), 2 * batch.images - 1 if generator.pixel_range[0] else batch.images

        with torch.no_grad():
            fake = generator.eval()(*generator.inputs(count, random, batch).arguments)
        generator.train()
        fake_scores, real_scores = discriminator(torch.cat([fake, real]))[:, 0].split(count)
        paid = (loss(fake_scores, False) + loss(real_scores, True)) / 2
        discriminator_optimizer.zero_grad()
        paid.backward()
        discriminator_optimizer.step()

        made = generator(*generator.inputs(count, random, batch).arguments)
        earned = loss(discriminator(made)[:, 0], True)
        generator_optimizer.zero_grad()
        earned.backward()
        generator_optimizer.step()
        losses.append({"discriminator": paid.item(), "generator": earned.item()})
    assert next(waiting, None) is None, "the loop used fewer masks"
    return losses


@pytest.mark.parametrize(
    ("model", "objective", "loss", "rate", "beta"),
    [
        ("dcgan", "bce", adversarial, 1e-3, 0.9),
        ("wgan", "wasserstein_bounded", bounded, 1e-3, 0.9),
        ("autoencoder", "bce", adversarial, 2e-4, 0.5),
    ],
)
def test_fifty_steps_are_those_of_a_plain_loop(
    batches: list[Batch],
    make_gan: Callable[..., GAN],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    objective: str,
    loss: Loss,
    rate: float,
    beta: float,
) -> None:
    ours, theirs = (make_gan(f"model={model}", f"objective={objective}") for _ in range(2))
    found, masks = fast(ours, batches, monkeypatch)
    expected = plain(theirs, batches, masks, loss, rate, beta)
    apart = [abs(one[player] - other[player]) for one, other in zip(found, expected, strict=True) for player in one]
    assert max(apart) < APART
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (one - other).norm() < APART
