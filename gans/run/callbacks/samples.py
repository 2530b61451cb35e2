"""Samples from fixed inputs during training, written as arrays to the run folder."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid

from gans.data.batches import Dataset
from gans.data.pixels import to_display
from gans.data.source import Source
from gans.errors import warn
from gans.files import write_arrays
from gans.gan import GAN
from gans.randomness import Streams
from gans.run.folder import RunFolder
from gans.run.trainer import Trainer

DATA_SAMPLES = 1000
DATA_SAMPLES_PER_CLASS = 10
PAIRS = 20


class Samples(Callback):
    """Writes fixed-noise grids, some training images, and held-out pairs of a generator that transforms images.

    A grid has ``images``, uint8 (n, height, width), or points, float32 (n, dimensions), ``labels`` (n,), ``step`` and
    ``epoch``. Its inputs depend on the seed only. A conditional generator gets the classes in order; a generator that
    transforms images gets held-out images, at most ``count``.

    Args:
        count: number of samples in a grid.
        epochs, steps: the epochs and training steps after which a grid is written.
        frames: number of further grids at evenly spaced steps, for the film.
    """

    def __init__(self, run: RunFolder, count: int, epochs: list[int], steps: list[int], frames: int) -> None:
        self.run = run
        self.count = count
        self.epochs = epochs
        self.steps = steps
        self.frames = frames
        self.grid_steps: set[int] = set()

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        data = self.data = trainer.datamodule
        held_out = data.val_images if len(data.val_images.labels) else data.test_images
        total = len(held_out.labels)
        count = min(self.count, total)
        chosen = torch.arange(count) * total // count  # evenly spaced: a folder's images are in order of their classes
        batch = held_out.select(chosen).to_batch().to(pl_module.device)
        count = len(batch.labels) if pl_module.generator.takes_images else self.count
        classes = torch.arange(count, device=pl_module.device) * len(data.classes) // count
        random = Streams(pl_module.seed, "grid", device=pl_module.device)
        self.inputs = pl_module.generator.inputs(count, random("latent"), batch, classes)
        planned = trainer.planned_steps
        per_epoch = int(trainer.num_training_batches)
        self.grid_steps = {round(planned * frame / max(1, self.frames)) for frame in range(self.frames + 1)}
        self.grid_steps |= {epoch * per_epoch for epoch in self.epochs} | {*self.steps, planned}
        self._warn_of_moments_after(planned, per_epoch)
        self._write_data(data)

    def _warn_of_moments_after(self, last_step: int, per_epoch: int) -> None:
        """They are not refused: a resumed run may train longer."""
        late = {
            "epochs": [epoch for epoch in self.epochs if epoch * per_epoch > last_step],
            "steps": [step for step in self.steps if step > last_step],
        }
        if any(late.values()):
            found = " and ".join(f"samples.{name}={moments}" for name, moments in late.items() if moments)
            end = f"training ends at step {last_step:,}, of {per_epoch:,} in an epoch"
            warn(f"no grid is drawn for {found}: {end}")

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if pl_module.training_steps == 0:
            self._write_grid(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if pl_module.training_steps in self.grid_steps:
            self._write_grid(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._write_data(trainer.datamodule)  # of a run that has lost them

    def on_test_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        if not pl_module.generator.takes_images:
            return
        data: Source = trainer.datamodule
        chosen = per_class(data.test_images, max(1, PAIRS // len(data.classes)))
        batch = chosen.to_batch().to(pl_module.device)
        random = Streams(pl_module.seed, "pairs", device=pl_module.device)
        inputs = pl_module.generator.inputs(len(batch.labels), random("latent"), batch)
        write_arrays(
            self.run.samples_file("pairs"),
            inputs=to_display(data.to_dataset(inputs.arguments[0], chosen.labels).content),
            outputs=to_display(data.to_dataset(pl_module.sample(inputs), chosen.labels).content),
            answers=to_display(chosen.content),
            labels=chosen.labels,
        )

    def _write_data(self, data: Source) -> None:
        if not self.run.samples_file("data").is_file():
            each = max(1, min(DATA_SAMPLES_PER_CLASS, DATA_SAMPLES // len(data.classes)))
            chosen = per_class(data.train_images, each)
            images, labels, names = to_display(chosen.content), chosen.labels, data.class_names
            write_arrays(self.run.samples_file("data"), images=images, labels=labels, class_names=names)

    def _write_grid(self, trainer: L.Trainer, gan: GAN) -> None:
        step = gan.training_steps
        images = gan.sample(self.inputs)
        samples = self.data.to_dataset(images, self.inputs.labels)
        write_arrays(
            self.run.grid_file(step),
            images=to_display(samples.content),
            labels=self.data.to_source(samples.labels),
            step=step,
            epoch=step / trainer.num_training_batches,
            **self.extra_arrays(gan),
        )
        self.log_images(trainer, images, step)

    def extra_arrays(self, gan: GAN) -> dict[str, Tensor]:
        """Further arrays of a grid; by default none."""
        return {}

    def log_images(self, trainer: L.Trainer, images: Tensor, step: int) -> None:
        """Log the samples to TensorBoard."""
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                shown = images.cpu().nan_to_num().clamp(0, 1)  # of NaN the run itself warns, and not NumPy
                logger.experiment.add_image("samples", make_grid(shown, nrow=10), step)


def per_class(images: Dataset, count: int) -> Dataset:
    """The first ``count`` samples of each class, sorted by class; fewer if a class has fewer."""
    chosen = [torch.nonzero(images.labels == label)[:count, 0] for label in images.labels.unique()]
    return images.select(torch.cat(chosen))
