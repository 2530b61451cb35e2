"""Signals that end a run in order: the step under way is finished and saved."""

import os
import signal
from time import monotonic
from types import FrameType
from typing import Any, Self

import lightning as L
from lightning.pytorch.callbacks import Callback
from typing_extensions import override

from gans.errors import InterruptedTraining
from gans.gan import GAN
from gans.run import slurm
from gans.run.callbacks.checkpoints import Checkpoints

REPEATED = 1.0
"""Seconds in which a second signal is the first one again: a process and its group may both be sent it."""


class Interrupt(Callback):
    """Ctrl-C, SIGTERM and, in a SLURM job, its request to make room end the run with ``InterruptedTraining``.

    While it is entered as a context, the first signal is answered: after the step under way and a checkpoint; at once
    where nothing of training is unsaved, as in an evaluation. A second signal, a second later, kills the process, which
    loses no more than the time since the last checkpoint. Signals that the process ignores are left ignored.

    It must come after ``checkpoints``.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._step = checkpoints.saved_step
        self._asked: int | None = None
        self._asked_at = 0.0
        self._in_step = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if slurm.job() is not None and slurm.REQUEUE_SIGNAL is not None:
            numbers.append(slurm.REQUEUE_SIGNAL)
        before = {number: signal.getsignal(number) for number in numbers}
        self._previous = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._step = pl_module.training_steps
        self._listen()

    def on_test_start(self, *_: Any) -> None:
        self._listen()

    def on_train_batch_start(self, *_: Any) -> None:
        self._in_step = True

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        self._step = pl_module.training_steps
        if self._asked is not None:
            self.checkpoints.save(trainer, pl_module)
            self._stop(self._asked)
        self._in_step = False

    def _listen(self) -> None:
        """Also in the place of Lightning, which would end training between two steps, saved or not."""
        for number in self._previous:
            signal.signal(number, self._answer)

    def _answer(self, number: int, _: FrameType | None) -> None:
        if self._asked is not None:
            if monotonic() - self._asked_at < REPEATED:
                return
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._asked, self._asked_at = number, monotonic()
        if not self._in_step and self._step == self.checkpoints.saved_step:
            self._stop(number)

    def _stop(self, number: int) -> None:
        raise InterruptedTraining(f"stopped by {signal.Signals(number).name}", number)
