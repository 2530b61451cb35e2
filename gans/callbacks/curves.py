"""Curves: what the step measured, read every few steps and written to the run's loggers."""

from math import isfinite
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.errors import TrainingError
from gans.gan import GAN
from gans.means import Means


class Curves(Callback):
    """Writes ``train/...`` every ``log_every`` steps, ``epoch/...`` and ``val/...`` at the end of each epoch.

    The x-axis is training steps; each row also has the epoch as a fraction. ``train`` figures are means over the steps
    since the last point, ``epoch`` figures over the epoch.

    Raises:
        TrainingError: where a figure is no longer finite, with the step; what is saved is from before.
    """

    def __init__(self, log_every: int) -> None:
        self.log_every = log_every
        self.latest: dict[str, float] = {}
        self._epoch = Means()
        self._steps_since = 0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        self._steps_since += 1
        if pl_module.training_steps % self.log_every == 0:
            self._write(trainer, pl_module, {f"train/{name}": value for name, value in self._read(pl_module).items()})
            self._check(pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        if self._steps_since:  # steps that fill no point of the curve belong to the epoch all the same
            self._read(pl_module)
        self._write(trainer, pl_module, {f"epoch/{name}": value for name, value in self._epoch.pop().items()})
        self._check(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        held_out = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self._write(trainer, pl_module, held_out)

    def _read(self, gan: GAN) -> dict[str, float]:
        """The means since the last reading."""
        self.latest = gan.means.pop()
        self._epoch.add_numbers(self.latest, self._steps_since)
        self._steps_since = 0
        return self.latest

    def _check(self, gan: GAN) -> None:
        broken = [name for name, value in self.latest.items() if not isfinite(value)]
        if broken:
            raise TrainingError(
                f"{broken[0]} is {self.latest[broken[0]]} at training step {gan.training_steps}; a checkpoint, if "
                "there is one, is from before. A smaller learning rate may help"
            )

    @staticmethod
    def _write(trainer: L.Trainer, gan: GAN, values: dict[str, float]) -> None:
        if not values:
            return
        epoch = gan.training_steps / trainer.num_training_batches
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": epoch}, step=gan.training_steps)
