"""A trained generator as a network from named inputs to images in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gans.data.batches import Batch
from gans.data.pixels import UNIT, rescale
from gans.errors import InputError
from gans.generator import Generator
from gans.models.cpu.layers import use_plain_layers
from gans.randomness import Streams
from gans.run.trained import TrainedGenerator

TRIED = 16
"""The number of samples by which a file is checked."""


class ImageNetwork(nn.Module):
    """A generator whose images are in [0, 1]; points stay as they are."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        made = rescale(self.generator(*inputs), self.generator.pixel_range, UNIT)
        return made if self.generator.makes_points else made.clamp(0, 1)


@dataclass(frozen=True)
class Exportable:
    """A trained generator with plain layers, and what others need to know of it."""

    generator: Generator
    config: dict[str, Any]
    training_steps: int
    input_names: tuple[str, ...]
    """latents; latents, classes; or input_images, since the output is called images."""
    trust: Sequence[str] = ()
    """Packages, beside this one and torch, that the config may name."""

    @property
    def output_name(self) -> str:
        return "points" if self.generator.makes_points else "images"

    @property
    def network(self) -> nn.Module:
        return ImageNetwork(self.generator).eval()

    def inputs(self, count: int, batch: Batch | None = None) -> tuple[Tensor, ...]:
        """Random inputs, by name in the order of ``input_names``.

        Args:
            batch: of which a generator that transforms images makes its inputs; None for noise.
        """
        random = Streams(0, "export")("inputs")
        data = self.config["data"]
        size = data.get("size") or 28
        shape = (count, data.get("channels") or 1, size, size)
        noise = Batch(torch.rand(shape, generator=random), torch.zeros(count, dtype=torch.int64))
        return self.generator.inputs(count, random, batch or noise).arguments


def exportable(trained: TrainedGenerator, trust: Sequence[str] = ()) -> Exportable:
    """A generator with the layers of torch.nn alone, in their usual memory layout.

    Raises:
        InputError: if its inputs are others than latents, latents and classes, or images.
    """
    generator = use_plain_layers(trained.network).to(memory_format=torch.contiguous_format)
    names: Sequence[str] = ("input_images",) if generator.takes_images else ("latents", "classes")
    if not generator.takes_images and not generator.takes_classes:
        names = names[:1]
    made = Exportable(generator, trained.config, trained.training_steps, tuple(names), trust)
    count = len(made.inputs(1))
    if count != len(names):
        raise InputError(f"{type(generator).__name__} has {count} inputs, but only {', '.join(names)} can be exported")
    return made
