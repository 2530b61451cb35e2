"""Saves the last checkpoint after training steps, and the best one after validations."""

from math import inf
from time import monotonic
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.config.schema import RunConfig
from gans.errors import InputError
from gans.gan import GAN
from gans.nonfinite import require_finite_state
from gans.run.checkpoint_files import checkpoint_path
from gans.run.folder import RunFolder
from gans.run.rewind import file_positions
from gans.run.trainer import Trainer, drop_validation_progress

EPOCHS_SHARE = 0.005
"""The largest share of the time that checkpoints at the ends of epochs may take."""
LONG = 10.0
"""Seconds of a validation before which the step is saved: what stops the run meanwhile need not wait for its end."""


class Checkpoints(Callback):
    """Saves the state after a training step, before the end of an epoch. A run that resumes from an epoch's last step
    runs the end of the epoch (validation, the epoch's means, the best checkpoint) again.

    The last checkpoint is saved before the first step, every ``every_steps`` steps, every ``every_minutes`` minutes, at
    the end of training, before a validation that may be long, and at the end of each epoch unless this takes more than
    half a percent of the time.

    This callback must come after the callbacks that record a step.

    Args:
        run: the run folder.
        config: the run's config. Every checkpoint includes it, so that it can be loaded without the run folder.
        best_by: the validation metric that the best checkpoint minimizes; None for no best checkpoint.

    Raises:
        NonFiniteError: if a weight is not finite; then nothing is saved.
    """

    def __init__(self, run: RunFolder, config: RunConfig, best_by: str | None) -> None:
        self.run = run
        self.config = config.model_dump()
        self.best_by = best_by
        self.every_steps, self.every_minutes = config.checkpoint.every_steps, config.checkpoint.every_minutes
        self.best = inf
        self.saved_step = -1
        self._saved_at = monotonic()
        self._save_seconds = 0.0
        self._validation_began = 0.0
        self._validation_seconds = inf  # of the last one; the first one computes floors too

    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self.saved_step, self._saved_at = pl_module.training_steps, monotonic()
        if pl_module.training_steps == 0:
            self._write(trainer, 0)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:
        step = pl_module.training_steps
        since = monotonic() - self._saved_at
        due_by_steps = self.every_steps is not None and step % self.every_steps == 0
        due_by_time = self.every_minutes is not None and since >= 60 * self.every_minutes
        due_by_epoch = trainer.ends_epoch(step) and self._save_seconds <= EPOCHS_SHARE * since
        due_by_validation = self._validation_seconds > LONG and trainer.validates_after(step)
        if due_by_steps or due_by_time or due_by_epoch or due_by_validation or step >= trainer.planned_steps:
            self.save(trainer, pl_module)

    def on_validation_start(self, *_: Any) -> None:
        self._validation_began = monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._validation_seconds = monotonic() - self._validation_began
        if self.best_by is None:
            return
        if self.best_by not in trainer.callback_metrics:
            raise InputError(
                f"metric.fid does not compute {self.best_by}, which chooses the best checkpoint: give your metric "
                "another name than fid"
            )
        value = float(trainer.callback_metrics[self.best_by])
        if value < self.best:
            require_finite_state(pl_module, trainer.optimizers, pl_module.training_steps)
            self.best = value
            trainer.save_checkpoint(checkpoint_path(self.run.checkpoints, "best", pl_module.training_steps))

    def save(self, trainer: L.Trainer, gan: GAN) -> None:
        """Save the last checkpoint, unless this step is saved already."""
        if self.saved_step == gan.training_steps:
            return
        require_finite_state(gan, trainer.optimizers, gan.training_steps)
        self._write(trainer, gan.training_steps)

    def _write(self, trainer: L.Trainer, step: int) -> None:
        start = monotonic()
        trainer.save_checkpoint(checkpoint_path(self.run.checkpoints, "last", step))
        self.saved_step, self._saved_at = step, monotonic()
        self._save_seconds = self._saved_at - start

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        drop_validation_progress(checkpoint)
        checkpoint["config"] = self.config
        checkpoint["file_positions"] = file_positions(self.run, trainer.loggers)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
