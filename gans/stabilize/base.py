"""The hooks of a stabilizer, and the container that combines several stabilizers into one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from math import prod
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from gans.errors import InputError
from gans.generator import Generator
from gans.means import MeanAccumulator
from gans.objectives import Objective
from gans.randomness import Streams
from gans.update import PlayerBatch, ScoredBatch, Terms, merged, per_sample, returned

Targets = tuple[Tensor, Tensor]
"""The targets of real samples, shape (n,), and of fake samples, (m,)."""

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


class StabilizedGAN(Protocol):
    """What a stabilizer may use and change of a GAN; see ``gans.gan.GAN``."""

    discriminator_takes_classes: ClassVar[bool]
    generator: Generator
    discriminator: nn.Module
    objective: Objective
    stabilizers: "Stabilizers"
    optimizer_factories: tuple[OptimizerFactory, OptimizerFactory]
    separate_forward: bool
    updates_per_batch: int
    training_steps: int
    means: MeanAccumulator

    def optimizers(self) -> Any: ...

    def discriminator_terms(self, batch: ScoredBatch) -> Terms: ...

    def generator_terms(self, batch: ScoredBatch) -> Terms: ...


class Stabilizer(nn.Module):
    """Base class: every hook does nothing. A technique overrides the hooks that it needs.

    A stabilizer is a module, so that checkpoints save its state, such as averaged weights.
    """

    @property
    def pack_size(self) -> int:
        """How many samples, all real or all fake, get one score; they are joined along the channels."""
        return 1

    def rebuild(self, gan: StabilizedGAN) -> None:
        """Called once, before any ``attach``. May replace layers, or raise InputError as ``attach`` does."""

    def attach(self, gan: StabilizedGAN) -> None:
        """Called once, before the optimizers are made. May change the networks' weights, and wrap
        ``gan.optimizer_factories``; ``gan.optimizers()`` works during training only.

        Raises:
            InputError: if the technique has no effect on this GAN; the message says why, and what to use.
        """

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        """Transform the discriminator's inputs, real or fake; differentiable, same shape."""
        return images

    def transform_targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> Targets:
        """Transform the targets in the discriminator's update."""
        return real, fake

    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        """Loss terms to add to the discriminator's E[fakes] + E[reals]. ``batch.scored()`` has the scores."""
        return {}

    def after_discriminator(self, gan: StabilizedGAN, batches: list[ScoredBatch]) -> None:
        """Called after the discriminator's last update of a step, with the scores from before each update."""

    def skips_generator(self, step: int) -> bool:
        """Whether training step ``step``, counted from 0, leaves out the generator's update."""
        return False

    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        """Replace the generator's loss terms.

        Args:
            batch: the generator's batch.
            discriminator_batch: the discriminator's batch of the same step.
        """
        return terms

    def after_generator(self, gan: StabilizedGAN) -> None:
        """Called after the generator's update."""

    def sampling_generator(self, generator: nn.Module) -> nn.Module:
        """The network that makes samples for display and evaluation."""
        return generator


HOOKS = [name for name in vars(Stabilizer) if not name.startswith("_")]
METHODS = [name for name in HOOKS if callable(getattr(Stabilizer, name))]


def require_hooks(named: Mapping[str, Stabilizer]) -> None:
    """Refuse a technique that overrides no hook, such as one with a misspelt name of one, or that overrides one with
    other arguments, with an InputError."""
    for name, stabilizer in named.items():
        own = [hook for hook in HOOKS if getattr(type(stabilizer), hook) is not getattr(Stabilizer, hook)]
        if not own:
            raise InputError(
                f"stabilize.{name}: {type(stabilizer).__name__} does nothing: override one of the hooks "
                f"{', '.join(HOOKS)}"
            )
        for hook in filter(METHODS.__contains__, own):
            arguments = list(signature(getattr(Stabilizer, hook)).parameters)  # self is the first
            try:
                signature(getattr(stabilizer, hook)).bind(*arguments[1:])
            except (TypeError, ValueError) as error:
                where = f"stabilize.{name}: {type(stabilizer).__name__}.{hook}"
                raise InputError(f"{where}: {error}: write def {hook}({', '.join(arguments)})") from error


def pack_size_of(stabilizer: Stabilizer) -> int:
    """How many samples get one score; an InputError for what is no such number, as a method instead of a property."""
    size: object = stabilizer.pack_size
    if not isinstance(size, int) or size < 1:
        what = "a method" if callable(size) else repr(size)
        raise InputError(
            f"{type(stabilizer).__name__}.pack_size is {what}, not an integer, 1 or more: write a property (@property) "
            "that returns one"
        )
    return size


def same_shape(made: Any, given: Tensor, stabilizer: Stabilizer, hook: str) -> Tensor:
    """What a hook has made of a tensor; an InputError if it is no tensor of the same shape."""
    if not isinstance(made, Tensor) or made.shape != given.shape:
        what = f"the shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        raise InputError(
            f"{type(stabilizer).__name__}.{hook} returns {what}: return a tensor of the shape that it is given, "
            f"{tuple(given.shape)}"
        )
    return made


class Stabilizers(Stabilizer):
    """Several stabilizers as one: functions compose in order, terms are merged, effects run in sequence."""

    def __init__(self, named: Mapping[str, Stabilizer] | None = None) -> None:
        super().__init__()
        if taken := [name for name in named or {} if not name or "." in name or hasattr(nn.ModuleDict(), name)]:
            raise InputError(f"stabilize.{taken[0]}: PyTorch has another use of this name: call it otherwise")
        self.named = nn.ModuleDict(dict(named or {}))

    def __iter__(self) -> Iterator[Stabilizer]:
        for stabilizer in self.named.values():
            assert isinstance(stabilizer, Stabilizer)  # ModuleDict's values are typed as modules
            yield stabilizer

    @property
    def pack_size(self) -> int:
        return prod(map(pack_size_of, self))

    def rebuild(self, gan: StabilizedGAN) -> None:
        for stabilizer in self:
            stabilizer.rebuild(gan)

    def attach(self, gan: StabilizedGAN) -> None:
        for name, stabilizer in zip(self.named, self, strict=True):
            stabilizer.attach(gan)
            if any(part is gan for part in stabilizer.modules()):
                raise InputError(f"stabilize.{name} has the GAN, of which it is a part: keep it as self.gan = [gan]")

    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        for stabilizer in self:
            version = None if images.is_inference() else images._version
            made = same_shape(stabilizer.transform_inputs(images, random), images, stabilizer, "transform_inputs")
            if version is not None and images._version != version:
                raise InputError(
                    f"{type(stabilizer).__name__}.transform_inputs changes the images that it is given, which others "
                    "use too: return a new tensor, as images + noise in place of images += noise"
                )
            images = made
        return images

    def transform_targets(self, real: Tensor, fake: Tensor, objective: Objective, random: Streams) -> Targets:
        for stabilizer in self:
            made = stabilizer.transform_targets(real, fake, objective, random)
            if not isinstance(made, tuple) or len(made) != len((real, fake)):
                raise InputError(
                    f"{type(stabilizer).__name__}.transform_targets returns {type(made).__name__}: return the targets "
                    "of the reals and those of the fakes, as return real, fake"
                )
            real, fake = (
                same_shape(one, given, stabilizer, "transform_targets")
                for one, given in zip(made, (real, fake), strict=True)
            )
        return real, fake

    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        terms: Terms = {}
        for stabilizer in self:
            own = per_sample(stabilizer.penalties(batch, random), stabilizer, "penalties")
            terms = merged(terms, own, f"{type(stabilizer).__name__}.penalties")
        return terms

    def after_discriminator(self, gan: StabilizedGAN, batches: list[ScoredBatch]) -> None:
        for stabilizer in self:
            stabilizer.after_discriminator(gan, batches)

    def skips_generator(self, step: int) -> bool:
        return any(
            returned(stabilizer.skips_generator(step), int, stabilizer, "skips_generator", "True or False")
            for stabilizer in self
        )

    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        for stabilizer in self:
            terms = stabilizer.generator_terms(gan, terms, batch, discriminator_batch)
            terms = per_sample(terms, stabilizer, "generator_terms")
        return terms

    def after_generator(self, gan: StabilizedGAN) -> None:
        for stabilizer in self:
            stabilizer.after_generator(gan)

    def sampling_generator(self, generator: nn.Module) -> nn.Module:
        for stabilizer in self:
            made = stabilizer.sampling_generator(generator)
            generator = returned(made, nn.Module, stabilizer, "sampling_generator", "the network that makes samples")
        return generator


def refuse_beside(gan: StabilizedGAN, name: str, other: type[Stabilizer], why: str) -> None:
    """Refuse another technique beside one of this name."""
    found = [key for key, each in gan.stabilizers.named.items() if isinstance(each, other)]
    if found:
        raise InputError(f"stabilize=[{','.join(sorted((name, *found)))}]: {why}: use one of them")
