"""Signal handling: a signal ends a run after the current step and a checkpoint."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import Any, Self

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.errors import InterruptedTraining, let_go_of_terminal, warn
from gans.gan import GAN
from gans.run import slurm
from gans.run.callbacks.checkpoints import Checkpoints


@contextmanager
def restored_handlers() -> Iterator[None]:
    """At the end, signals to stop have their present handlers again, which an ``Interrupt`` may have replaced."""
    numbers = slurm.stop_signals() if current_thread() is main_thread() else ()
    found = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in found.items() if handler is not None}  # None: not Python's
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupt(Callback):
    """Raises ``InterruptedTraining`` after Ctrl-C, SIGTERM, SIGHUP or, in a SLURM job, ``slurm.REQUEUE_SIGNAL``.

    Used as a context manager. After the first signal, it finishes and saves the current step, and raises; it raises at
    once if the last step is saved, as in a test. A second Ctrl-C raises at once, without a new checkpoint. Further
    signals are not heard: they must not cut short the record of the stop, and Linux sends one to a sweep's members for
    each thread of a leader that dies. ``restored_handlers`` ends that.

    Signals that the process ignores stay ignored. Python tells signals to its main thread only: in another, a warning
    says that nothing can stop the run in order.

    This callback must come after ``checkpoints``.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._step = checkpoints.saved_step
        self._received: int | None = None
        self._received_at = 0.0
        self._in_step = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if current_thread() is not main_thread():
            warn(
                "this is not Python's main thread, so Ctrl-C and SIGTERM can't save and stop this run: if the "
                "process ends, resume it from its last checkpoint"
            )
            return self
        before = {number: signal.getsignal(number) for number in slurm.stop_signals()}
        left_alone = (signal.SIG_IGN, None)  # None: a handler that is not Python's, of a program around it
        self._previous = {number: handler for number, handler in before.items() if handler not in left_alone}
        self._install_handlers()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if self._received is None else signal.SIG_IGN)

    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._step = pl_module.training_steps
        self._install_handlers()

    def on_test_start(self, *_: Any) -> None:
        self._install_handlers()

    def on_train_batch_start(self, *_: Any) -> None:
        self._in_step = True

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        self._step = pl_module.training_steps
        if self._received is not None:
            self.checkpoints.save(trainer, pl_module)
        self.stop_if_asked()
        self._in_step = False

    def stop_if_asked(self) -> None:
        """Raise ``InterruptedTraining`` if a signal has come."""
        if self._received is not None:
            self._stop(self._received)

    def _install_handlers(self) -> None:
        """Called at the start of training and test too, because Lightning installs its own handlers before."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> None:
        let_go_of_terminal(number)
        if self._received is not None:
            if slurm.insists(number, monotonic() - self._received_at):
                self._received_at = inf  # a third one is not heard
                self._stop(number)
            return
        self._received, self._received_at = number, monotonic()
        if not self._in_step and self._step == self.checkpoints.saved_step:
            self._stop(number)

    def _stop(self, number: int) -> None:
        raise InterruptedTraining(f"stopped by {signal.Signals(number).name}", number)
