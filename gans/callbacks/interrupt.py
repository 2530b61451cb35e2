"""Ctrl-C finishes the step, saves, and ends the run; a second Ctrl-C ends it at once."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.errors import InterruptedTraining
from gans.gan import GAN


class Interrupt(Callback):
    """Turns the first SIGINT into a checkpoint after the step that is under way, and ``InterruptedTraining``."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.asked = False

    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:  # noqa: ARG002
        self._previous = signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if self.asked:
            trainer.save_checkpoint(self.checkpoint)
            raise InterruptedTraining(f"stopped at training step {pl_module.training_steps}")

    def on_train_end(self, trainer: L.Trainer, pl_module: GAN) -> None:  # noqa: ARG002
        self._restore()

    def on_exception(self, trainer: L.Trainer, pl_module: GAN, exception: BaseException) -> None:  # noqa: ARG002
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        signal.signal(signal.SIGINT, self._previous)
