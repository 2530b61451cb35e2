"""The base class of ways to sample: which inputs of the generator are used."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from gans.data.batches import Batch
from gans.gan import GAN
from gans.generator import Generator, Inputs

MakeInputs = Callable[[int, torch.Generator, Batch | None, Tensor | None], Inputs]
"""Makes a generator's inputs, with the arguments of ``Generator.inputs``."""


class Sampling:
    """Uses every sample that the generator makes."""

    choice: ClassVar[str] = "all"
    """Its name in conf/sampling/."""
    needs_discriminator: ClassVar[bool] = False

    @property
    def protocol(self) -> str | None:
        """What metrics of such samples have in their names: a number and a word; None if every sample is used."""
        return None

    def require_match(self, gan: GAN) -> None:
        """Refuse a GAN whose samples can't be chosen so, with an InputError."""

    def inputs_of(self, generator: Generator, gan: GAN | None) -> MakeInputs:
        """How the inputs of the used samples are made.

        Args:
            gan: the generator's GAN, in inference mode; needed if ``needs_discriminator``.
        """
        return generator.inputs
