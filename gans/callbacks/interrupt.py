"""Ctrl-C and SIGTERM finish the step, save, and end the run; a second signal ends it at once."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.errors import InterruptedTraining
from gans.gan import GAN

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt(Callback):
    """Turns the first signal into a checkpoint after the step that is under way, and ``InterruptedTraining``."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.asked: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:  # noqa: ARG002
        self._previous = {number: signal.signal(number, self._ask) for number in SIGNALS}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        if self.asked is not None:
            trainer.save_checkpoint(self.checkpoint)
            raise InterruptedTraining(f"stopped at training step {pl_module.training_steps}", self.asked)

    def on_train_end(self, trainer: L.Trainer, pl_module: GAN) -> None:  # noqa: ARG002
        self._restore()
        if self.asked is not None:  # during the last validation; all of training is saved
            raise InterruptedTraining(f"stopped at training step {pl_module.training_steps}", self.asked)

    def on_exception(self, trainer: L.Trainer, pl_module: GAN, exception: BaseException) -> None:  # noqa: ARG002
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.asked = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
