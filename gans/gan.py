"""The alternating step that every GAN here shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import lightning as L
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from gans.data.batches import Batch
from gans.errors import InputError
from gans.faults import READ_EVERY, FiniteWatch
from gans.generator import Generator, Inputs
from gans.means import Means
from gans.objectives import Objective
from gans.randomness import Streams, derive_seed, seed_layers
from gans.stabilize import Stabilizers
from gans.turn import Side, Turn, joined, means_of, packed, side_of, total, unpacked

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]

DISCRIMINATOR_UPDATES: dict[str, Callable[[Turn], list[Turn]]] = {
    "joint": lambda turn: [turn],
    "separate": lambda turn: [turn],
    "alternating": lambda turn: [turn.only_real(), turn.only_fake()],
}


class GAN(L.LightningModule):
    """A generator, a discriminator, an objective and stabilizers, trained by alternating steps.

    Args:
        discriminator: (n, channels, height, width), or of points (n, dimensions), -> (n, 1 + k), column 0 the score
            without output activation.
        generator_optimizer, discriminator_optimizer: called with a network's parameters.
        discriminator_updates: "joint", one update per step on one batch of fakes and reals together, so that its
            loss is the mean over both; "separate", the same, but reals and fakes pass it apart, so that BatchNorm's
            statistics are of one kind; or "alternating", two updates per step, first on the reals, then on the fakes.
        discriminator_fakes: the mode in which the generator makes the fakes that the discriminator learns from:
            "inference" (BatchNorm's moving averages, no dropout) or "training".
        generator_batches: samples in the generator's update, as a multiple of the reals in a batch.
        classes: what the class indices of the data stand for, to name figures per class.
        seed: all random numbers of step t are a function of (seed, t).
        branch: another number gives training other random numbers, but the data keep their order.
    """

    told_classes: ClassVar[bool] = False
    """Whether the discriminator judges a sample as one of its class."""

    def __init__(
        self,
        generator: Generator,
        discriminator: nn.Module,
        objective: Objective,
        stabilizers: Stabilizers,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory,
        discriminator_updates: Literal["joint", "separate", "alternating"] = "joint",
        discriminator_fakes: Literal["inference", "training"] = "inference",
        generator_batches: PositiveInt = 1,
        classes: Sequence[int | str] = (),
        seed: NonNegativeInt = 0,
        branch: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.stabilizers = stabilizers
        self.optimizer_factories = (generator_optimizer, discriminator_optimizer)
        self.discriminator_turns = DISCRIMINATOR_UPDATES[discriminator_updates]
        self.apart = discriminator_updates == "separate"
        self.penalty_share = 1.0 if objective.pairs or discriminator_updates == "alternating" else 0.5
        self.discriminator_fakes_in_training_mode = discriminator_fakes == "training"
        self.generator_batches = generator_batches
        self.classes = tuple(classes)
        self.seed = seed
        self.training_seed = derive_seed(seed, "branch", branch) if branch else seed
        self.training_steps = 0
        self.means = Means()
        self.held_out_means = Means()
        self.watch = FiniteWatch()
        if generator.takes_images and generator_batches > 1:
            raise InputError("this generator makes one image from each image of a batch: use model.generator_batches=1")
        if objective.pairs and (discriminator_updates == "alternating" or generator_batches > 1):
            raise InputError(
                f"{type(objective).__name__} compares each fake with a real of the same update: use "
                "model.discriminator_updates=joint and model.generator_batches=1"
            )
        stabilizers.rebuild(self)
        stabilizers.attach(self)
        self.to(memory_format=torch.channels_last)  # as convolutions work fastest, on CPUs and GPUs

    def configure_optimizers(self) -> list[Optimizer]:
        networks = (self.generator, self.discriminator)
        return [factory(net.parameters()) for factory, net in zip(self.optimizer_factories, networks, strict=True)]

    @override
    def on_fit_start(self) -> None:
        self.watch.every = 1 if self.device.type == "cpu" else READ_EVERY

    # --- the step -----------------------------------------------------------------------------------------------

    @override
    def training_step(self, batch: Batch, batch_index: int) -> None:
        random = Streams(self.training_seed, "train", self.training_steps, self.device)
        seed_layers(derive_seed(self.training_seed, "layers", self.training_steps), self.device)
        generator_optimizer, discriminator_optimizer = self.optimizers()

        with self.only(discriminator_optimizer):
            whole = self.discriminator_turn(batch, random)
            *before, last = turns = self.discriminator_turns(whole)
            for turn in before:
                self.update("discriminator", discriminator_optimizer, turn, self.discriminator_terms(turn))
            terms = self.discriminator_terms(last) | self.penalties(whole, random)
            self.update("discriminator", discriminator_optimizer, last, terms)
        self.stabilizers.after_discriminator(self, turns)

        if not self.stabilizers.rests(self.training_steps):
            with self.only(generator_optimizer):
                turn = self.generator_turn(batch, random)
                terms = self.stabilizers.generator_terms(self.generator_terms(turn), turn, against=whole)
                self.update("generator", generator_optimizer, turn, terms)
            self.stabilizers.after_generator(self)

        self.training_steps += 1

    def discriminator_turn(self, batch: Batch, random: Streams) -> Turn:
        """Real images and fakes without gradient, with what the stabilizers tell the discriminator of them."""
        real, count = self.real_side(batch), len(batch.images)
        inputs = self.generator.inputs(count, random("latent"), batch, self.asked_of(batch))
        self.generator.train(self.discriminator_fakes_in_training_mode)
        with torch.no_grad():
            fake = self.fake_side(self.generator, inputs, wanted_real=False)
        self.generator.train()
        real_targets, fake_targets = self.stabilizers.targets(real.targets, fake.targets, self.objective, random)
        fake, real = fake._replace(targets=fake_targets), real._replace(targets=real_targets)
        return Turn(self.judge(random), fake, real, self.apart)

    def generator_turn(self, batch: Batch, random: Streams) -> Turn:
        """Fresh fakes with gradient, told to be real."""
        count, asked = self.generator_batches * len(batch.images), self.asked_of(batch, self.generator_batches)
        inputs = self.generator.inputs(count, random("latent"), batch, asked)
        fake = self.fake_side(self.generator, inputs, wanted_real=True)
        return Turn(self.judge(random), fake, self.compared_with(fake, batch), self.apart)

    def asked_of(self, batch: Batch, times: int = 1) -> Tensor | None:
        """The classes asked for in training: drawn, or the batch's own where the discriminator is told them, so that
        a fake is compared with a real of its class."""
        return batch.labels.repeat(times) if self.told_classes else None

    def compared_with(self, fake: Side, batch: Batch) -> Side:
        """What stands beside the fakes in the generator's turn: reals where the objective compares, else nothing."""
        if not self.objective.pairs:
            return fake.none()
        real = self.real_side(batch)
        return real._replace(wanted_real=~real.wanted_real)  # the generator wants them to be outdone

    def discriminator_terms(self, turn: Turn) -> dict[str, Tensor]:
        """Named losses of the discriminator, one value per sample; it pays the sum of their means, and penalties."""
        return {"adversarial": self.objective.discriminator(turn)}

    def penalties(self, turn: Turn, random: Streams) -> dict[str, Tensor]:
        """What the stabilizers charge the discriminator. Papers add it to E[fakes] + E[reals]; an update that pays the
        mean over both pays half of that, and so half of a penalty."""
        charged = self.stabilizers.penalties(turn, random)
        return {name: self.penalty_share * values for name, values in charged.items()}

    def generator_terms(self, turn: Turn) -> dict[str, Tensor]:
        """Named losses of the generator, one value per sample. It pays the sum of their means."""
        return {"adversarial": self.objective.generator(turn)}

    def update(self, player: str, optimizer: Optimizer, turn: Turn, terms: dict[str, Tensor]) -> None:
        """One optimizer step on the sum of the terms' means, and what was measured on the way.

        Raises:
            NotFinite: where the loss or a gradient is not finite, before the step; see FiniteWatch.
        """
        means = means_of(terms)
        loss = total(means)
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.watch.check(player, loss, optimizer, turn, terms, self, self.training_steps + 1)
        optimizer.step()
        self.means.add(self.measure(player, turn, means), weight=len(turn.scores))

    # --- its parts ----------------------------------------------------------------------------------------------

    @contextmanager
    def only(self, optimizer: Optimizer) -> Iterator[None]:
        """Gradients reach the parameters of this optimizer alone."""
        self.toggle_optimizer(optimizer)
        try:
            yield
        finally:
            self.untoggle_optimizer(optimizer)

    def judge(self, random: Streams) -> Callable[[Tensor, Tensor], Tensor]:
        """The discriminator as it is in training: behind what the stabilizers let it see, sample by sample."""
        together = self.stabilizers.together

        def judge(images: Tensor, labels: Tensor) -> Tensor:
            seen = self.stabilizers.see(unpacked(images, together), random)
            return self.discriminate(packed(seen, together), labels)

        return judge

    def discriminate(self, images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002, labels are for conditional ones
        """The discriminator's outputs, (n, 1 + k). A conditional one is given the labels too."""
        return self.discriminator(images)

    def real_side(self, batch: Batch) -> Side:
        low, high = self.generator.pixel_range
        images = low + (high - low) * batch.images
        return self._side(images, batch.labels, wanted_real=True)

    def fake_side(self, generator: nn.Module, inputs: Inputs, *, wanted_real: bool) -> Side:
        return self._side(generator(*inputs.arguments), inputs.labels, wanted_real=wanted_real)

    def _side(self, images: Tensor, labels: Tensor, *, wanted_real: bool) -> Side:
        target = self.objective.real_target if wanted_real else self.objective.fake_target
        return side_of(*joined(images, labels, self.stabilizers.together), target, wanted_real=wanted_real)

    @torch.no_grad()
    def measure(self, player: str, turn: Turn, means: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars to record: the loss, the mean of each of its terms, and the accuracies."""
        measured = {"loss": total(means), **means, **means_of(self.accuracies(turn))}
        return {f"{player}_{name}": value for name, value in measured.items()}

    def accuracies(self, turn: Turn) -> dict[str, Tensor]:
        """Whether each sample is taken for what the player wants, whatever label stabilizers tell the discriminator."""
        return {"accuracy": (self.objective.believes_real(turn.scores) == turn.both.wanted_real).float()}

    # --- held-out data ------------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self.measure_held_out(batch, batch_index)

    def on_validation_epoch_end(self) -> None:
        self.log_held_out("val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        self.measure_held_out(batch, batch_index)

    def on_test_epoch_end(self) -> None:
        self.log_held_out("test")

    def measure_held_out(self, batch: Batch, batch_index: int) -> None:
        """Both players' losses and accuracies on held-out images: unaltered targets, no penalties, the plain objective.

        What a stabilizer has the generator pay instead (feature matching, unrolling) belongs to training.
        """
        random = Streams(self.seed, "held-out", batch_index, self.device)
        network = self.stabilizers.sampler(self.generator)
        inputs = self.generator.inputs(len(batch.images), random("latent"), batch, self.asked_of(batch))
        fake = self.fake_side(network, inputs, wanted_real=False)
        against = Turn(self.discriminate, fake, self.real_side(batch), self.apart)
        wanted = fake.told(self.objective.real_target, wanted_real=True)
        towards = Turn(self.discriminate, wanted, self.compared_with(wanted, batch), self.apart)

        measured = self.measure("discriminator", against, means_of(self.discriminator_terms(against)))
        measured |= self.measure("generator", towards, means_of(self.generator_terms(towards)))
        self.held_out_means.add(measured, weight=len(batch.images))

    def log_held_out(self, stage: str) -> None:
        values = {f"{stage}/{name}": value for name, value in self.held_out_means.pop().items()}
        self.log_dict(values, logger=False)

    # --- samples ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, inputs: Inputs) -> Tensor:
        """Images in [0, 1], shape (n, channels, height, width), float32, from the network that stabilizers choose."""
        network = self.stabilizers.sampler(self.generator)
        was_training = network.training
        network.eval()
        images = self.to_unit(network(*inputs.arguments))
        network.train(was_training)
        return images

    def to_unit(self, images: Tensor) -> Tensor:
        """From the generator's pixel range to [0, 1], float32."""
        low, high = self.generator.pixel_range
        return (images.float() - low) / (high - low)

    # --- checkpoints --------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["training_steps"] = self.training_steps
        checkpoint["means"] = self.means.state_dict()
        sampler = self.stabilizers.sampler(self.generator)
        checkpoint["sampler"] = next(name for name, module in self.named_modules() if module is sampler)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.training_steps = checkpoint["training_steps"]
        self.means.load_state_dict(checkpoint["means"])
