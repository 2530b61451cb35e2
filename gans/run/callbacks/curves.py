"""Curves: losses and accuracies, written to the run's loggers every few steps."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.gan import GAN
from gans.means import MeanAccumulator


class Curves(Callback):
    """Writes ``train/...`` every ``log_every`` steps, ``epoch/...`` after an epoch, ``val/...`` after a validation.

    ``train`` values are means since the last point or the epoch's beginning, ``epoch`` values means over the epoch.
    Each row has the training step and the epoch, as a fraction.
    """

    def __init__(self, log_every: int) -> None:
        self.log_every = log_every
        self.latest: dict[str, float] = {}
        self._epoch = MeanAccumulator()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if pl_module.training_steps % self.log_every == 0:
            self._write(trainer, pl_module, {f"train/{name}": value for name, value in self._read(pl_module).items()})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._read(pl_module)  # the epoch's mean includes steps after the last point
        self._write(trainer, pl_module, {f"epoch/{name}": value for name, value in self._epoch.pop().items()})

    def on_validation_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        held_out = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self._write(trainer, pl_module, held_out)

    def _read(self, gan: GAN) -> dict[str, float]:
        """The means since the last call."""
        found = gan.means.pop_weighted()
        self._epoch.add_means(found)
        means = {name: mean for name, (mean, _) in found.items()}
        self.latest = means or self.latest
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if "steps_since" not in state_dict:  # of an earlier version, whose sums have other weights
            self._epoch.load_state_dict(state_dict["epoch"])

    @staticmethod
    def _write(trainer: L.Trainer, gan: GAN, values: dict[str, float]) -> None:
        if not values:
            return
        epoch = gan.training_steps / trainer.num_training_batches
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": epoch}, step=gan.training_steps)
