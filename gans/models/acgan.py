"""ACGAN: a conditional GAN whose discriminator also names the class (Odena, Olah and Shlens 2017)."""

from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gans.errors import InputError
from gans.gan import GAN
from gans.generator import Classes, ConditionalGenerator
from gans.models.dcgan import upward
from gans.models.layers import Channels, Flatten, Size, Unflatten, batch_norm, halved_widths, halvings, normal
from gans.update import Samples, ScoredBatch, Terms


class ACGANGenerator(ConditionalGenerator):
    """Latents (n, latent_size) and class indices (n,) -> images (n, channels, size, size) in (-1, 1).

    ``width`` channels of 7x7 or 8x8 from the latents and one from the class, then 5x5 transposed convolutions with
    stride 2, which halve the channels: one for 14 and 16 pixels, two for 28 and 32, three for 64.

    Raises:
        InputError: for fewer than two classes, and for a width that can't be halved so often.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self,
        classes: Classes,
        latent_size: PositiveInt = 100,
        width: PositiveInt = 384,
        initial_deviation: PositiveFloat = 0.02,
        size: Size = 28,
        channels: Channels = 1,
    ) -> None:
        super().__init__()
        _check_classes(classes)
        self.latent_size = latent_size
        self.class_count = len(classes)
        side, count = halvings(size)
        widths = halved_widths(width, count)
        widths[0] += 1  # the class's channel
        to_channel = Unflatten(1, side, side)
        self.class_channel = nn.Sequential(nn.Embedding(self.class_count, 50), nn.Linear(50, side**2), to_channel)
        to_channels = Unflatten(width, side, side)
        self.latent_channels = nn.Sequential(nn.Linear(latent_size, width * side**2), nn.ReLU(), to_channels)
        self.layers = nn.Sequential()
        for wide, narrow in pairwise(widths):
            self.layers.extend([upward(wide, narrow), batch_norm(narrow), nn.ReLU()])
        self.layers.extend([upward(widths[-1], channels), nn.Tanh()])
        normal(self, initial_deviation)

    def embed(self, classes: Tensor) -> tuple[Tensor]:
        """The class's channel."""
        return (self.class_channel(classes),)

    def generate(self, latents: Tensor, *embedded: Tensor) -> Tensor:
        return self.layers(torch.cat((self.latent_channels(latents), *embedded), 1))


class ACGANDiscriminator(nn.Module):
    """Images (n, channels, size, size) in [-1, 1] -> (n, 1 + classes): the score in column 0, then the classes' logits.

    3x3 convolutions, of which every other one has stride 2; the first makes ``width`` channels, each other one twice as
    many as it gets. There are two more for 64 pixels.

    The report's two output layers, for the score and the class, are the columns of one layer: the same parameters.

    Raises:
        InputError: for fewer than two classes.
    """

    def __init__(
        self,
        classes: Classes,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        width: PositiveInt = 32,
        initial_deviation: PositiveFloat = 0.02,
        size: Size = 28,
        channels: Channels = 1,
    ) -> None:
        super().__init__()
        _check_classes(classes)
        side, count = halvings(size)
        strides = [1, 2] * (count - 1) + [1]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(dropout)
        )
        for level, stride in enumerate(strides):
            self.layers.extend(_block(width * 2**level, width * 2 ** (level + 1), stride, dropout))
        self.layers.extend([Flatten(), nn.Linear(width * 2 ** len(strides) * side**2, 1 + len(classes))])
        normal(self, initial_deviation)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class ACGAN(GAN):
    """Both players also minimize the cross-entropy of the class (equations 2 and 3: L_S + L_C, equal weight)."""

    @property
    def output_count(self) -> int:
        return 1 + self.generator.class_count

    def discriminator_terms(self, batch: ScoredBatch) -> Terms:
        return super().discriminator_terms(batch) | {"class": self._class_loss(batch.outputs, batch.both)}

    def generator_terms(self, batch: ScoredBatch) -> Terms:
        fakes = batch.outputs[: len(batch.fake.images)]  # an objective that compares pairs adds reals
        return super().generator_terms(batch) | {"class": self._class_loss(fakes, batch.fake)}

    def accuracies(self, batch: ScoredBatch) -> dict[str, Tensor]:
        predicted = batch.outputs[:, 1:].argmax(1)
        return super().accuracies(batch) | {"class_accuracy": (predicted == batch.both.labels).float()}

    @staticmethod
    def _class_loss(outputs: Tensor, samples: Samples) -> Tensor:
        return F.cross_entropy(outputs[:, 1:], samples.labels, reduction="none")


def _block(channels_in: int, channels_out: int, stride: int, dropout: float) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1),
        batch_norm(channels_out),
        nn.LeakyReLU(0.2),
        nn.Dropout(dropout),
    )


def _check_classes(classes: Classes) -> None:
    if len(classes) < 2:
        raise InputError(f"model=acgan classifies, so it needs two or more classes: data.classes={classes} is one")
