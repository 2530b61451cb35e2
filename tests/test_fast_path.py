"""The trainer's step against a loop as one writes it: same images, latents and dropout masks, 50 steps.

How far may they drift apart? A GAN amplifies rounding: the loop itself, in float32 and in float64, ends at different
weights. The fast path may be as far from the loop as rounding takes the loop, times ``SLACK``.
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
from tests.test_gan import random_batch, train

STEPS = 50
SLACK = 4
BATCHES = [random_batch(8, seed) for seed in range(STEPS)]

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


def fast(gan: GAN, monkeypatch: pytest.MonkeyPatch) -> tuple[Losses, list[Tensor]]:
    """The trainer's losses, and the masks that dropout used."""
    masks: list[Tensor] = []
    mask = Dropout.mask

    def recorded(self: Dropout, like: Tensor) -> Tensor:
        masks.append(mask(self, like))
        return masks[-1]

    monkeypatch.setattr(Dropout, "mask", recorded)
    recorder = Recorded()
    train(gan, BATCHES, callbacks=[recorder])
    return recorder.losses, masks


def adversarial(scores: Tensor, real: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def bounded(scores: Tensor, real: bool) -> Tensor:
    """The report's WGAN: the critic's output is a sigmoid, and its mean is what is played for."""
    return scores.sigmoid().mean() if real else -scores.sigmoid().mean()


def plain(gan: GAN, masks: list[Tensor], dtype: torch.dtype, loss: Loss, rate: float, beta: float) -> Losses:
    """A loop without trainer, fused optimizers, channels_last or this package's dropout."""
    waiting = iter(masks)
    for module in list(gan.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Dropout):
                setattr(module, name, Given(waiting))
    gan.to(dtype=dtype, memory_format=torch.contiguous_format)
    generator, discriminator = gan.generator, gan.discriminator
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(beta, 0.999), eps=1e-7)
        for network in (generator, discriminator)
    )
    losses = []
    for step, batch in enumerate(BATCHES):
        random = Streams(gan.seed, "train", step)("latent")
        given = Batch(batch.images.to(dtype), batch.labels)
        count, real = len(given.images), 2 * given.images - 1 if generator.pixel_range[0] else given.images

        with torch.no_grad():
            fake = generator.eval()(*(part.to(dtype) for part in generator.inputs(count, random, given).arguments))
        generator.train()
        fake_scores, real_scores = discriminator(torch.cat([fake, real]))[:, 0].split(count)
        paid = (loss(fake_scores, False) + loss(real_scores, True)) / 2
        discriminator_optimizer.zero_grad()
        paid.backward()
        discriminator_optimizer.step()

        made = generator(*(part.to(dtype) for part in generator.inputs(count, random, given).arguments))
        earned = loss(discriminator(made)[:, 0], True)
        generator_optimizer.zero_grad()
        earned.backward()
        generator_optimizer.step()
        losses.append({"discriminator": paid.item(), "generator": earned.item()})
    assert next(waiting, None) is None, "the loop used fewer masks"
    return losses


def apart(left: Losses, right: Losses) -> Tensor:
    """The largest difference of a loss, up to each step."""
    values = torch.tensor([[list(each.values()) for each in side] for side in (left, right)], dtype=torch.float64)
    return (values[0] - values[1]).abs().amax(1).cummax(0).values


def weights_apart(left: GAN, right: GAN) -> float:
    pairs = zip(left.parameters(), right.parameters(), strict=True)
    return max((one.double() - other.double()).norm().item() for one, other in pairs)


@pytest.mark.parametrize(
    ("model", "objective", "loss", "rate", "beta"),
    [
        ("dcgan", "bce", adversarial, 1e-3, 0.9),
        ("wgan", "wasserstein_bounded", bounded, 1e-3, 0.9),
        ("autoencoder", "bce", adversarial, 2e-4, 0.5),
    ],
)
def test_fifty_steps_are_those_of_a_plain_loop(
    make_gan: Callable[..., GAN],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    objective: str,
    loss: Loss,
    rate: float,
    beta: float,
) -> None:
    ours, single, double = (make_gan(f"model={model}", f"objective={objective}") for _ in range(3))
    with monkeypatch.context() as patch:
        found, masks = fast(ours, patch)
    expected = plain(single, masks, torch.float32, loss, rate, beta)
    exact = plain(double, masks, torch.float64, loss, rate, beta)
    assert apart(found, expected)[0] < 1e-5
    assert (apart(found, expected) <= 1e-6 + SLACK * apart(expected, exact)).all()
    assert weights_apart(ours, single) <= SLACK * weights_apart(single, double)
