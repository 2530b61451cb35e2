"""ACGAN: a conditional GAN whose discriminator also names the class (Odena, Olah and Shlens 2017)."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gans.errors import InputError
from gans.gan import GAN
from gans.generator import ConditionalGenerator
from gans.models.layers import Flatten, Unflatten, batch_norm, normal
from gans.update import ScoredBatch, Terms


class ACGANGenerator(ConditionalGenerator):
    """Latents (n, latent_size) and class indices (n,) -> images (n, 1, 28, 28) in (-1, 1).

    384 channels of 7x7 from the latents and one from the class, then two 5x5 transposed convolutions with stride 2.

    Raises:
        InputError: for fewer than two classes.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self, classes: list[int], latent_size: PositiveInt = 100, initial_deviation: PositiveFloat = 0.02
    ) -> None:
        super().__init__()
        _check_classes(classes)
        self.latent_size = latent_size
        self.class_count = len(classes)
        self.class_channel = nn.Sequential(nn.Embedding(self.class_count, 50), nn.Linear(50, 7 * 7), Unflatten(1, 7, 7))
        self.latent_channels = nn.Sequential(nn.Linear(latent_size, 384 * 7 * 7), nn.ReLU(), Unflatten(384, 7, 7))
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(385, 192, 5, stride=2, padding=2, output_padding=1),
            batch_norm(192),
            nn.ReLU(),
            nn.ConvTranspose2d(192, 1, 5, stride=2, padding=2, output_padding=1),
            nn.Tanh(),
        )
        normal(self, initial_deviation)

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return self.layers(torch.cat((self.latent_channels(latents), self.class_channel(classes)), 1))


class ACGANDiscriminator(nn.Module):
    """Images (n, 1, 28, 28) in [-1, 1] -> (n, 1 + classes): the score in column 0, then the classes' logits.

    The report's two output layers, for the score and the class, are the columns of one layer: the same parameters.

    Raises:
        InputError: for fewer than two classes.
    """

    def __init__(
        self,
        classes: list[int],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        initial_deviation: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        _check_classes(classes)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            *_block(32, 64, 1, dropout),
            *_block(64, 128, 2, dropout),
            *_block(128, 256, 1, dropout),
            Flatten(),
            nn.Linear(256 * 7 * 7, 1 + len(classes)),
        )
        normal(self, initial_deviation)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class ACGAN(GAN):
    """Both players also minimize the cross-entropy of the class (equations 2 and 3: L_S + L_C, equal weight)."""

    def discriminator_terms(self, batch: ScoredBatch) -> Terms:
        return super().discriminator_terms(batch) | {"class": self._class_loss(batch)}

    def generator_terms(self, batch: ScoredBatch) -> Terms:
        return super().generator_terms(batch) | {"class": self._class_loss(batch)}

    def accuracies(self, batch: ScoredBatch) -> dict[str, Tensor]:
        predicted = batch.outputs[:, 1:].argmax(1)
        return super().accuracies(batch) | {"class_accuracy": (predicted == batch.both.labels).float()}

    @staticmethod
    def _class_loss(batch: ScoredBatch) -> Tensor:
        return F.cross_entropy(batch.outputs[:, 1:], batch.both.labels, reduction="none")


def _block(channels_in: int, channels_out: int, stride: int, dropout: float) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1),
        batch_norm(channels_out),
        nn.LeakyReLU(0.2),
        nn.Dropout(dropout),
    )


def _check_classes(classes: list[int]) -> None:
    if len(classes) < 2:
        raise InputError(f"model=acgan classifies, so it needs two or more classes: data.digits={classes} is one")
