"""The alternating training step that every GAN shares."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import lightning as L
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.optim import Optimizer

from gans.data.batches import Batch
from gans.data.pixels import UNIT, rescale
from gans.errors import InputError
from gans.generator import Generator, Inputs, require_generator
from gans.means import MeanAccumulator
from gans.nonfinite import READ_EVERY, NonFiniteDetector
from gans.objectives import Objective
from gans.randomness import Streams, derive_seed, seed_layers
from gans.stabilize.base import OptimizerFactory, Stabilizers
from gans.update import (
    PlayerBatch,
    Samples,
    ScoredBatch,
    Terms,
    mean_terms,
    merged,
    pack,
    pack_samples,
    per_sample,
    require_gradients,
    returned,
    samples_with_target,
    total,
    unpack,
)


class GAN(L.LightningModule):
    """A generator, a discriminator, an objective and stabilizers, trained by alternating steps.

    Args:
        discriminator: maps images (n, channels, height, width), or points (n, dimensions), to outputs (n, 1 + k).
            Column 0 is the score, without output activation.
        generator_optimizer, discriminator_optimizer: make an optimizer from a network's parameters.
        discriminator_updates: "joint": one update per step on a batch of fakes and reals; the loss is the mean over
            both. "separate": the same, but reals and fakes pass the discriminator one after the other, so that
            BatchNorm does not mix them. "alternating": two updates per step, first on the reals, then on the fakes.
        discriminator_fakes: the generator's mode when it makes fakes for the discriminator: "inference" (BatchNorm
            uses its moving averages, no dropout) or "training".
        generator_batches: samples in the generator's update, as a multiple of the reals in a batch.
        seed: all random numbers of training step t are a function of (seed, t).
        branch: selects other random numbers for training, as after a rollback; the order of the data stays.

    Raises:
        InputError: if the arguments do not fit together, or a stabilizer has no effect on this GAN.
    """

    discriminator_takes_classes: ClassVar[bool] = False
    """Whether the discriminator takes each sample's class as a second input."""

    @property
    def output_count(self) -> int:
        """1 + k: how many outputs the discriminator has for each sample."""
        return 1

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
        seed: NonNegativeInt = 0,
        branch: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        require_generator(generator)
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.stabilizers = stabilizers
        self.optimizer_factories = (generator_optimizer, discriminator_optimizer)
        self.alternating_updates = discriminator_updates == "alternating"
        self.updates_per_batch = 2 if self.alternating_updates else 1  # of the discriminator, on a batch
        self.separate_forward = discriminator_updates == "separate"
        self.penalty_share = 1.0 if objective.compares_pairs or self.alternating_updates else 0.5
        self.discriminator_fakes_in_training_mode = discriminator_fakes == "training"
        self.generator_batches = generator_batches
        self.seed = seed
        self.training_seed = derive_seed(seed, "branch", branch) if branch else seed
        self.training_steps = 0
        self.means = MeanAccumulator()
        self.held_out_means = MeanAccumulator()
        self.non_finite_detector = NonFiniteDetector()
        if generator.takes_images and generator_batches > 1:
            raise InputError("this generator transforms each image of a batch once: use model.generator_batches=1")
        if objective.compares_pairs and (self.alternating_updates or generator_batches > 1):
            raise InputError(
                f"{type(objective).__name__} compares each fake with a real of the same update: use "
                "model.discriminator_updates=joint and model.generator_batches=1"
            )
        stabilizers.rebuild(self)
        stabilizers.attach(self)
        self.to(memory_format=torch.channels_last)  # the fastest layout for convolutions, on CPUs and GPUs
        networks = (generator, discriminator)
        self.built_optimizers = [f(net.parameters()) for f, net in zip(self.optimizer_factories, networks, strict=True)]

    def configure_optimizers(self) -> list[Optimizer]:
        """The generator's optimizer, then the discriminator's."""
        return self.built_optimizers

    def on_fit_start(self) -> None:
        self.non_finite_detector.every = 1 if self.device.type == "cpu" else READ_EVERY

    # --- the step -----------------------------------------------------------------------------------------------

    def training_step(self, data: Batch, data_index: int) -> None:
        random = Streams(self.training_seed, "train", self.training_steps, self.device)
        seed_layers(derive_seed(self.training_seed, "layers", self.training_steps), self.device)
        generator_optimizer, discriminator_optimizer = self.optimizers()

        with self.toggled_optimizer(discriminator_optimizer):
            whole = self.discriminator_batch(data, random)
            parts = [whole.only_real(), whole.only_fake()] if self.alternating_updates else [whole]
            scored = []
            for part in parts:
                batch = part.forward()
                terms = self.discriminator_terms(batch)
                if part is parts[-1]:
                    terms = self.with_penalties(terms, whole if self.alternating_updates else batch, random)
                self.update("discriminator", discriminator_optimizer, batch, terms)
                scored.append(batch)
        self.stabilizers.after_discriminator(self, scored)

        if not self.stabilizers.skips_generator(self.training_steps):
            with self.toggled_optimizer(generator_optimizer):
                batch = self.generator_batch(data, random).forward()
                terms = self.stabilizers.generator_terms(self, self.generator_terms(batch), batch, whole)
                self.update("generator", generator_optimizer, batch, terms)
            self.stabilizers.after_generator(self)

        self.training_steps += 1

    def discriminator_batch(self, data: Batch, random: Streams) -> PlayerBatch:
        """Reals, and fakes without gradient, with targets transformed by the stabilizers."""
        real, count = self.real_samples(data), len(data.images)
        inputs = self.generator.inputs(count, random("latent"), data, self.classes_for(data))
        self.generator.train(self.discriminator_fakes_in_training_mode)
        with torch.no_grad():
            fake = self.fake_samples(self.generator, inputs, desired_real=False)
        self.generator.train()
        targets = self.stabilizers.transform_targets(real.targets, fake.targets, self.objective, random)
        real, fake = real._replace(targets=targets[0]), fake._replace(targets=targets[1])
        return PlayerBatch(self.score(random), fake, real, self.separate_forward or self.alternating_updates)

    def generator_batch(self, data: Batch, random: Streams) -> PlayerBatch:
        """New fakes with gradient. Their target is the real one."""
        count, classes = self.generator_batches * len(data.images), self.classes_for(data, self.generator_batches)
        inputs = self.generator.inputs(count, random("latent"), data, classes)
        fake = self.fake_samples(self.generator, inputs, desired_real=True)
        return PlayerBatch(self.score(random), fake, self.paired_reals(fake, data), self.separate_forward)

    def classes_for(self, data: Batch, times: int = 1) -> Tensor | None:
        """Classes for the generator: the data's if the discriminator takes classes, so that fakes and reals have the
        same classes; None lets the generator draw them."""
        return data.labels.repeat(times) if self.discriminator_takes_classes else None

    def paired_reals(self, fake: Samples, data: Batch) -> Samples:
        """The reals in the generator's batch: one for each fake if the objective compares pairs, else none."""
        if not self.objective.compares_pairs:
            return fake.first(0)
        real = self.real_samples(data)
        return real._replace(desired_real=~real.desired_real)  # the generator wants fakes to score higher than reals

    def discriminator_terms(self, batch: ScoredBatch) -> Terms:
        """The discriminator's loss terms. Its loss is the sum of their means and the penalties' means."""
        return self._adversarial(self.objective.discriminator(batch), batch, "discriminator")

    def with_penalties(self, terms: Terms, batch: PlayerBatch, random: Streams) -> Terms:
        """The terms and the stabilizers' penalties. Papers add penalties to E[fakes] + E[reals]. The mean over fakes
        and reals together is half of that sum, so an update on both takes half of each penalty."""
        penalties = self.stabilizers.penalties(batch, random)
        shares = {name: self.penalty_share * values for name, values in penalties.items()}
        return merged(terms, shares, f"stabilize=[{','.join(self.stabilizers.named)}]")

    def generator_terms(self, batch: ScoredBatch) -> Terms:
        """The generator's loss terms. Its loss is the sum of their means."""
        return self._adversarial(self.objective.generator(batch), batch, "generator")

    def _adversarial(self, loss: Tensor, batch: ScoredBatch, player: str) -> Terms:
        """A player's loss by the objective, shape (n,), as its only term; an InputError for one without a gradient."""
        terms = per_sample({"adversarial": loss}, self.objective, player)
        if batch.outputs.requires_grad and not loss.requires_grad:
            raise InputError(
                f"{type(self.objective).__name__}.{player}: its loss has no gradient, so nothing would be learned: "
                "compute it from batch.scores with PyTorch's functions, without detach, item or numpy"
            )
        return terms

    def update(self, player: str, optimizer: Optimizer, batch: ScoredBatch, terms: Terms) -> None:
        """Make one optimizer step on the sum of the terms' means, and record the loss and the accuracies.

        Raises:
            NonFiniteError: if the loss or a gradient is not finite: on a CPU before the optimizer step, on a GPU up to
                ten steps later.
        """
        means = mean_terms(per_sample(terms, self, f"{player}_terms"))
        require_gradients(terms, player)
        loss = total(means)
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.non_finite_detector.check(player, loss, optimizer, batch, terms, self, self.training_steps + 1)
        optimizer.step()
        self.means.add(self.measure(player, batch, means), weight=len(batch.scores))

    # --- helpers ------------------------------------------------------------------------------------------------

    def score(self, random: Streams) -> Callable[[Tensor, Tensor], Tensor]:
        """The discriminator during training: the stabilizers transform its inputs first."""
        pack_size = self.stabilizers.pack_size

        def score(images: Tensor, labels: Tensor) -> Tensor:
            transformed = self.stabilizers.transform_inputs(unpack(images, pack_size), random)
            return self.discriminate(pack(transformed, pack_size), labels)

        return score

    def discriminate(self, images: Tensor, labels: Tensor) -> Tensor:
        """The discriminator's outputs, shape (n, 1 + k). A conditional discriminator uses the labels too."""
        return returned(self.discriminator(images), Tensor, self.discriminator, "forward", "scores, shape (n, 1)")

    def real_samples(self, data: Batch) -> Samples:
        images = rescale(data.images, UNIT, self.generator.pixel_range)
        return self._samples(images, data.labels, desired_real=True)

    def fake_samples(self, generator: nn.Module, inputs: Inputs, *, desired_real: bool) -> Samples:
        return self._samples(_made_by(generator, inputs), inputs.labels, desired_real=desired_real)

    def _samples(self, images: Tensor, labels: Tensor, *, desired_real: bool) -> Samples:
        target = self.objective.real_target if desired_real else self.objective.fake_target
        images, labels = pack_samples(images, labels, self.stabilizers.pack_size)
        return samples_with_target(images, labels, target, desired_real=desired_real)

    @torch.no_grad()
    def measure(self, player: str, batch: ScoredBatch, means: dict[str, Tensor]) -> dict[str, Tensor]:
        """The scalars to record: the loss, the mean of each of its terms, and the accuracies."""
        measured = merged({"loss": total(means)}, means, f"the {player}'s losses")
        measured = merged(measured, mean_terms(self.accuracies(batch)), f"the {player}'s accuracies")
        return {f"{player}_{name}": value for name, value in measured.items()}

    def accuracies(self, batch: ScoredBatch) -> dict[str, Tensor]:
        """Whether the discriminator gives each sample the answer that the player wants, whatever its target."""
        return {"accuracy": (self.objective.predicts_real(batch.scores) == batch.both.desired_real).float()}

    # --- held-out data ------------------------------------------------------------------------------------------

    def on_validation_epoch_end(self) -> None:
        self.log_held_out("val")

    def on_test_epoch_end(self) -> None:
        self.log_held_out("test")

    def validation_step(self, data: Batch, data_index: int) -> None:
        """Add up both players' losses and accuracies on held-out images.

        They are the objective's: targets are unaltered, there are no penalties, and losses that a stabilizer gives the
        generator in place of the objective (feature matching, unrolling) do not count.
        """
        self.held_out_means.add(self.measure_held_out(data, data_index), weight=len(data.images))

    test_step = validation_step

    def measure_held_out(self, data: Batch, data_index: int) -> dict[str, Tensor]:
        """Both players' losses and accuracies on a batch of held-out images."""
        random = Streams(self.seed, "held-out", data_index, self.device)
        network = self.stabilizers.sampling_generator(self.generator)
        inputs = self.generator.inputs(len(data.images), random("latent"), data, self.classes_for(data))
        fake = self.fake_samples(network, inputs, desired_real=False)
        batch = PlayerBatch(self.discriminate, fake, self.real_samples(data), self.separate_forward).forward()
        terms = per_sample(self.discriminator_terms(batch), self, "discriminator_terms")
        measured = self.measure("discriminator", batch, mean_terms(terms))

        fake = fake.with_target(self.objective.real_target, desired_real=True)
        batch = PlayerBatch(self.discriminate, fake, self.paired_reals(fake, data), self.separate_forward).forward()
        terms = per_sample(self.generator_terms(batch), self, "generator_terms")
        return measured | self.measure("generator", batch, mean_terms(terms))

    def log_held_out(self, stage: str) -> None:
        values = {f"{stage}/{name}": value for name, value in self.held_out_means.pop().items()}
        self.log_dict(values, logger=False)

    @torch.no_grad()
    def sample(self, inputs: Inputs) -> Tensor:
        """Images in [0, 1], shape (n, channels, height, width), float32, or points, from the sampling generator."""
        network = self.stabilizers.sampling_generator(self.generator)
        was_training = network.training
        network.eval()
        images = rescale(_made_by(network, inputs).float(), self.generator.pixel_range, UNIT)
        network.train(was_training)
        return images

    @property
    def sampling_generator_name(self) -> str:
        """Which of this module's parts the sampling generator is; an InputError if it is none, and is not saved."""
        sampling = self.stabilizers.sampling_generator(self.generator)
        name = next((name for name, module in self.named_modules() if module is sampling), None)
        if name is None:
            of = {type(each).__name__: each.sampling_generator(self.generator) for each in self.stabilizers}
            makers = [name for name, network in of.items() if network is not self.generator]
            raise InputError(
                f"{', '.join(makers)}: sampling_generator returns a network that is no part of the GAN, so checkpoints "
                "would not save it: make the network once, in attach, keep it in an attribute, and return that"
            )
        return name

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["training_steps"] = self.training_steps
        checkpoint["means"] = self.means.state_dict()
        checkpoint["sampling_generator"] = self.sampling_generator_name

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.training_steps = checkpoint["training_steps"]
        self.means.load_state_dict(checkpoint["means"])


def _made_by(network: nn.Module, inputs: Inputs) -> Tensor:
    """A generator's samples, as it makes them."""
    return returned(network(*inputs.arguments), Tensor, network, "forward", "a tensor with a sample in each row")
