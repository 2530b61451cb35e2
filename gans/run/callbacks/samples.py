"""Samples: what the generator makes of the same inputs as training goes on, kept as arrays in the run folder."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid

from gans.data.batches import Batch, Dataset
from gans.data.pixels import as_shown
from gans.data.source import Source
from gans.files import write_arrays
from gans.gan import GAN
from gans.randomness import Streams
from gans.run.folder import RunFolder
from gans.run.trainer import Trainer

DATA_SAMPLES = 1000
DATA_SAMPLES_PER_CLASS = 10
PAIRS = 20


class Samples(Callback):
    """Draws the fixed-noise grid at the named moments and, for the film, at ``frames`` evenly spaced ones.

    The inputs depend on the seed alone. A conditional generator is asked for the classes in order; a generator that
    transforms images is given held-out ones, as many as there are.

    Args:
        run: where the grids are written (``images`` uint8 (n, height, width), or points float32 (n, dimensions);
            ``labels`` (n,), ``step``, ``epoch``), some training images, and held-out pairs.
        epochs, steps: the moments, in epochs and in training steps; a grid follows the end of that epoch or step.
    """

    def __init__(self, run: RunFolder, count: int, epochs: list[int], steps: list[int], frames: int) -> None:
        self.run = run
        self.count = count
        self.epochs = epochs
        self.steps = steps
        self.frames = frames
        self.moments: set[int] = set()

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        data = self.data = trainer.datamodule
        held_out = data.val_images if len(data.val_images.labels) else data.test_images
        batch = _on(pl_module, held_out.at(slice(self.count)).to_batch())
        count = len(batch.labels) if pl_module.generator.takes_images else self.count
        classes = torch.arange(count, device=pl_module.device) * len(data.classes) // count
        random = Streams(pl_module.seed, "grid", device=pl_module.device)
        self.inputs = pl_module.generator.inputs(count, random("latent"), batch, classes)
        planned = trainer.planned_steps
        per_epoch = int(trainer.num_training_batches)
        self.moments = {round(planned * frame / max(1, self.frames)) for frame in range(self.frames + 1)}
        self.moments |= {epoch * per_epoch for epoch in self.epochs} | {*self.steps, planned}
        if not self.run.samples_file("data").is_file():
            each = max(1, min(DATA_SAMPLES_PER_CLASS, DATA_SAMPLES // len(data.classes)))
            shown = per_class(data.train_images, each)
            write_arrays(self.run.samples_file("data"), images=as_shown(shown.content), labels=shown.labels)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if pl_module.training_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if pl_module.training_steps in self.moments:
            self._draw(trainer, pl_module)

    def on_test_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        """Held-out pairs of a generator whose inputs are images."""
        if not pl_module.generator.takes_images:
            return
        data: Source[Any] = trainer.datamodule
        chosen = per_class(data.test_images, max(1, PAIRS // len(data.classes)))
        batch = _on(pl_module, chosen.to_batch())
        random = Streams(pl_module.seed, "pairs", device=pl_module.device)
        inputs = pl_module.generator.inputs(len(batch.labels), random("latent"), batch)
        write_arrays(
            self.run.samples_file("pairs"),
            inputs=as_shown(data.to_dataset(inputs.arguments[0], chosen.labels).content),
            outputs=as_shown(data.to_dataset(pl_module.sample(inputs), chosen.labels).content),
            answers=as_shown(chosen.content),
            labels=chosen.labels,
        )

    def _draw(self, trainer: L.Trainer, gan: GAN) -> None:
        step = gan.training_steps
        images = gan.sample(self.inputs)
        samples = self.data.to_dataset(images, self.inputs.labels)
        write_arrays(
            self.run.grid_file(step),
            images=as_shown(samples.content),
            labels=self.data.to_source(samples.labels),
            step=step,
            epoch=step / trainer.num_training_batches,
            **self.further(gan),
        )
        self.show(trainer, images, step)

    def further(self, gan: GAN) -> dict[str, Tensor]:
        """More arrays for each recorded moment."""
        return {}

    def show(self, trainer: L.Trainer, images: Tensor, step: int) -> None:
        """The samples in TensorBoard."""
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", make_grid(images.cpu(), nrow=10), step)


def per_class(images: Dataset, count: int) -> Dataset:
    """The first ``count`` images of each class (fewer where there are fewer), classes in order."""
    chosen = [torch.nonzero(images.labels == label)[:count, 0] for label in images.labels.unique()]
    return images.at(torch.cat(chosen))


def _on(gan: GAN, batch: Batch) -> Batch:
    return Batch(*(field.to(gan.device) for field in batch))
