"""The hooks of a stabilizer, and the container that combines several stabilizers into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from gans.objectives import Objective
from gans.randomness import Streams
from gans.update import PlayerBatch, ScoredBatch

if TYPE_CHECKING:
    from gans.gan import GAN


class Stabilizer(nn.Module):
    """Does nothing. A technique overrides the hook at which it acts.

    It is a module, so that its state (averaged weights, an adaptive probability) is saved in checkpoints.
    """

    @property
    def pack_size(self) -> int:
        """How many samples of a kind the discriminator scores as one; they are joined along the channels."""
        return 1

    def rebuild(self, gan: GAN) -> None:
        """Called once, before any stabilizer is attached. May replace layers of the networks.

        Raises:
            InputError: as ``attach`` does.
        """

    def attach(self, gan: GAN) -> None:
        """Called once, before the optimizers are made. May change how the networks' weights and optimizers work.

        Raises:
            InputError: with a sentence that says why this technique means nothing for this GAN, and what to use.
        """

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        """Transform the discriminator's inputs, real and fake alike; differentiable, same shape."""
        return images

    def transform_targets(
        self, real: Tensor, fake: Tensor, objective: Objective, random: Streams
    ) -> tuple[Tensor, Tensor]:
        """Transform the targets of real samples, shape (n,), and of fake ones, (m,), in the discriminator's update."""
        return real, fake

    def penalties(self, batch: PlayerBatch, random: Streams) -> dict[str, Tensor]:
        """Further loss terms of the discriminator beside E[fakes] + E[reals]: named, one value per sample."""
        return {}

    def after_discriminator(self, gan: GAN, batches: list[ScoredBatch]) -> None:
        """Called after the discriminator's last update of a step. Each batch's scores are from before its update."""

    def skips_generator(self, step: int) -> bool:
        """Whether the generator is not updated in a training step, counted from 0."""
        return False

    def generator_terms(
        self, terms: dict[str, Tensor], batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> dict[str, Tensor]:
        """Replace the generator's loss terms: named, one value per sample.

        Args:
            batch: the generator's.
            discriminator_batch: the discriminator's of the same step.
        """
        return terms

    def after_generator(self, gan: GAN) -> None:
        """Called after the generator's update."""

    def sampling_generator(self, generator: nn.Module) -> nn.Module:
        """The network that makes the samples which are shown and evaluated."""
        return generator


class Stabilizers(Stabilizer):
    """Several stabilizers as one: functions compose in order, dictionaries merge, effects run in sequence."""

    def __init__(self, named: Mapping[str, Stabilizer] | None = None) -> None:
        super().__init__()
        self.named = nn.ModuleDict(dict(named or {}))

    def __iter__(self) -> Iterator[Stabilizer]:
        for stabilizer in self.named.values():
            assert isinstance(stabilizer, Stabilizer)  # ModuleDict's values are typed as modules
            yield stabilizer

    @property
    def pack_size(self) -> int:
        return prod(stabilizer.pack_size for stabilizer in self)

    def rebuild(self, gan: GAN) -> None:
        for stabilizer in self:
            stabilizer.rebuild(gan)

    def attach(self, gan: GAN) -> None:
        for stabilizer in self:
            stabilizer.attach(gan)

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        for stabilizer in self:
            images = stabilizer.transform_inputs(images, random)
        return images

    def transform_targets(
        self, real: Tensor, fake: Tensor, objective: Objective, random: Streams
    ) -> tuple[Tensor, Tensor]:
        for stabilizer in self:
            real, fake = stabilizer.transform_targets(real, fake, objective, random)
        return real, fake

    def penalties(self, batch: PlayerBatch, random: Streams) -> dict[str, Tensor]:
        return {name: term for stabilizer in self for name, term in stabilizer.penalties(batch, random).items()}

    def after_discriminator(self, gan: GAN, batches: list[ScoredBatch]) -> None:
        for stabilizer in self:
            stabilizer.after_discriminator(gan, batches)

    def skips_generator(self, step: int) -> bool:
        return any(stabilizer.skips_generator(step) for stabilizer in self)

    def generator_terms(
        self, terms: dict[str, Tensor], batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> dict[str, Tensor]:
        for stabilizer in self:
            terms = stabilizer.generator_terms(terms, batch, discriminator_batch)
        return terms

    def after_generator(self, gan: GAN) -> None:
        for stabilizer in self:
            stabilizer.after_generator(gan)

    def sampling_generator(self, generator: nn.Module) -> nn.Module:
        for stabilizer in self:
            generator = stabilizer.sampling_generator(generator)
        return generator
