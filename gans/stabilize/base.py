"""The places of the step at which a stabilizer can act, and the container that folds several into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from gans.objectives import Objective
from gans.randomness import Streams
from gans.turn import Turn

if TYPE_CHECKING:
    from gans.gan import GAN


class Stabilizer(nn.Module):
    """Does nothing anywhere. A technique overrides the place at which it acts.

    It is a module so that what it keeps (averaged weights, an adaptive probability) is saved in checkpoints.
    """

    @property
    def together(self) -> int:
        """How many samples of a kind the discriminator judges as one; they come to it joined along the channels."""
        return 1

    def rebuild(self, gan: GAN) -> None:
        """Called once, before any stabilizer is attached. May put other layers in the networks.

        Raises:
            InputError: as ``attach`` does.
        """

    def attach(self, gan: GAN) -> None:
        """Called once, before the optimizers exist. May change how the networks' weights and optimizers work.

        Raises:
            InputError: with a sentence that says why this technique means nothing for this GAN, and what to use.
        """

    def see(self, images: Tensor, random: Streams) -> Tensor:  # noqa: ARG002, random is for stabilizers that draw
        """What the discriminator sees in place of ``images``, real and fake alike; differentiable, same shape."""
        return images

    def targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> tuple[Tensor, Tensor]:  # noqa: ARG002, the rest is for stabilizers that alter them
        """What the discriminator is told of real and of fake samples, in its own update only; shapes (n,), (m,)."""
        return real, fake

    def penalties(self, turn: Turn, random: Streams) -> dict[str, Tensor]:  # noqa: ARG002, for stabilizers that have some
        """What the discriminator pays on top of E[fakes] + E[reals], once a step: named terms, one value per sample."""
        return {}

    def after_discriminator(self, gan: GAN, turns: list[Turn]) -> None:
        """After the discriminator's last update of a step. Each turn's scores are those from before its update."""

    def rests(self, step: int) -> bool:  # noqa: ARG002, for stabilizers that count steps
        """Whether the generator sits out a training step, counted from 0."""
        return False

    def generator_terms(self, terms: dict[str, Tensor], turn: Turn, against: Turn) -> dict[str, Tensor]:  # noqa: ARG002, the turns are for stabilizers that replace them
        """What the generator pays in place of ``terms``: named terms with one value per sample.

        ``against`` is the discriminator's turn of the same step.
        """
        return terms

    def after_generator(self, gan: GAN) -> None:
        """After the generator's update."""

    def sampler(self, generator: nn.Module) -> nn.Module:
        """Who draws the samples that are shown and evaluated."""
        return generator


class Stabilizers(Stabilizer):
    """Several stabilizers as one: functions compose in order, dictionaries merge, effects run in sequence."""

    def __init__(self, named: Mapping[str, Stabilizer] | None = None) -> None:
        super().__init__()
        self.named = nn.ModuleDict(dict(named or {}))

    def __iter__(self) -> Iterator[Stabilizer]:
        for stabilizer in self.named.values():
            assert isinstance(stabilizer, Stabilizer)  # the dictionary's type says module
            yield stabilizer

    @property
    def together(self) -> int:
        return prod(stabilizer.together for stabilizer in self)

    def rebuild(self, gan: GAN) -> None:
        for stabilizer in self:
            stabilizer.rebuild(gan)

    def attach(self, gan: GAN) -> None:
        for stabilizer in self:
            stabilizer.attach(gan)

    def see(self, images: Tensor, random: Streams) -> Tensor:
        for stabilizer in self:
            images = stabilizer.see(images, random)
        return images

    def targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> tuple[Tensor, Tensor]:
        for stabilizer in self:
            real, fake = stabilizer.targets(real, fake, objective, random)
        return real, fake

    def penalties(self, turn: Turn, random: Streams) -> dict[str, Tensor]:
        return {name: term for stabilizer in self for name, term in stabilizer.penalties(turn, random).items()}

    def after_discriminator(self, gan: GAN, turns: list[Turn]) -> None:
        for stabilizer in self:
            stabilizer.after_discriminator(gan, turns)

    def rests(self, step: int) -> bool:
        return any(stabilizer.rests(step) for stabilizer in self)

    def generator_terms(self, terms: dict[str, Tensor], turn: Turn, against: Turn) -> dict[str, Tensor]:
        for stabilizer in self:
            terms = stabilizer.generator_terms(terms, turn, against)
        return terms

    def after_generator(self, gan: GAN) -> None:
        for stabilizer in self:
            stabilizer.after_generator(gan)

    def sampler(self, generator: nn.Module) -> nn.Module:
        for stabilizer in self:
            generator = stabilizer.sampler(generator)
        return generator
