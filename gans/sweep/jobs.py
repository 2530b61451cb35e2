"""Members of a sweep at once, in processes of their own, and how a signal ends all of them in order."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from multiprocessing import resource_tracker
from threading import Lock, Thread
from types import FrameType

import joblib
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from joblib.externals import loky
from omegaconf import DictConfig

from gans.errors import InputError, InterruptedTraining
from gans.machine import find_accelerator
from gans.run import slurm
from gans.run.callbacks import progress
from gans.run.callbacks.interrupt import REPEATED

_received: list[int] = []
"""The signals that have ended the sweep which this process leads."""

_stopped: list[int] = []
"""The signals that came to this process, which is a member's, outside of its training."""

_beside: list[int] = []
"""How many members run at once, in a member's process."""

_member = Lock()
"""Held while a member runs in this process."""

_undo: list[Callable[[], object]] = []
"""What ends this process's leading of a sweep."""


def count_members(config: DictConfig) -> int:
    """How many members a sweep has: the product of its options' numbers of values."""
    given = [
        *config.hydra.overrides.task,
        *(f"{name}={it}" for name, it in (config.hydra.sweeper.params or {}).items()),
    ]
    overrides = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(given)
    return prod(
        sum(1 for _ in each.sweep_string_iterator())
        for each in overrides
        if each.is_sweep_override() and each.is_discrete_sweep()
    )


def jobs_at_once(members: int, accelerator: str, wanted: int = -1) -> int:
    """How many members run at once, on the cores that they share.

    Args:
        wanted: so many, as joblib counts them: -1 is one for each core. Where it is -1 there are no more than members,
            and on a GPU it is one, which has the GPU for itself.

    Raises:
        InputError: for 0.
    """
    if wanted == 0:
        raise InputError("hydra.launcher.n_jobs=0 runs nothing: give how many at once, or -1 for one on each core")
    if not hasattr(signal, "pthread_sigmask"):
        return 1  # where signals can't wait, there is no end in order for several
    if wanted != -1:
        return joblib.effective_n_jobs(wanted)
    if accelerator not in ("auto", "cpu") or (accelerator == "auto" and find_accelerator()):
        return 1
    return max(1, min(members, joblib.cpu_count()))


def lead_jobs() -> None:
    """From here on signals end the members, in the processes that are started from here on, and not this process.

    They are blocked, which is inherited: a member's process takes them when it is ready for them.
    """
    numbers = {signal.SIGINT, signal.SIGTERM}
    if slurm.job() is not None and slurm.REQUEUE_SIGNAL is not None:
        numbers.add(slurm.REQUEUE_SIGNAL)
    for tracker in (resource_tracker, loky.backend.resource_tracker):
        tracker.ensure_running()  # which would let signals through again, if it started later
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    reading, writing = os.pipe()  # tells of a signal at once, whatever this thread waits for
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing)
    handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
    Thread(target=_pass_on, args=(numbers, reading), daemon=True).start()
    _received.clear()
    _undo.extend(
        [
            lambda: loky.get_reusable_executor().shutdown(wait=True),
            lambda: [signal.signal(number, handler) for number, handler in handlers.items()],
            lambda: signal.set_wakeup_fd(wakeup),
            lambda: os.close(writing),
            lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
        ]
    )


def stop_leading() -> int | None:
    """Undo ``lead_jobs``, if it was called; the signal that has ended the sweep, if one has."""
    while _undo:
        _undo.pop(0)()
    number = _received[0] if _received else None
    _received.clear()
    return number


def _pass_on(numbers: set[signal.Signals], pipe: int) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    told = 0.0
    while number := os.read(pipe, 1):
        if not _received:
            told = time.monotonic()
            _received.append(number[0])
            Thread(target=_stop_members, daemon=True).start()
        elif time.monotonic() - told > REPEATED:  # a second signal kills, as it does to a single run
            for process in multiprocessing.active_children():
                process.kill()
            os._exit(128 + number[0])
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    os.close(pipe)


def _stop_members() -> None:
    """The members' processes, also those that are about to start."""
    told: set[int | None] = set()
    while _undo:
        for process in multiprocessing.active_children():
            if process.pid not in told:
                process.terminate()
                told.add(process.pid)
        time.sleep(0.1)


def follow(leader: int, jobs: int) -> None:
    """Make this process one of several members' processes, which stops in order if its leader is killed.

    Args:
        leader: the process that leads the sweep.
        jobs: how many members run at once.
    """
    if progress.line_on_screen is not None:
        return
    number = int(multiprocessing.current_process().name.rpartition("-")[2])
    progress.line_on_screen = (number - 1) % jobs
    _beside.append(jobs)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, and the leader passes it on
    signal.signal(signal.SIGTERM, lambda number, _: _stopped.append(number))
    Thread(target=_watch, args=(leader,), daemon=True).start()


def sharing() -> int:
    """How many processes share the cores: the sweep's, or this one alone."""
    return _beside[0] if _beside else 1


def _watch(leader: int) -> None:
    while os.getppid() == leader:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    with _member:
        os._exit(128 + signal.SIGTERM)


def stopped() -> int | None:
    """The signal that came to this process outside of training, if one has: no member goes on or starts after it."""
    return _stopped[0] if _stopped else None


def start_anew() -> None:
    """Forget the signals of a sweep that this process ran before."""
    _stopped.clear()


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGTERM raises ``InterruptedTraining`` where nothing else answers it, also if it came before."""

    def stop(number: int, _: FrameType | None = None) -> None:
        _stopped.append(number)  # what is interrupted may take the exception for a fault of its own
        raise InterruptedTraining(f"stopped by {signal.Signals(number).name}", number)

    before = signal.signal(signal.SIGTERM, stop)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}) if hasattr(signal, "pthread_sigmask") else None
    try:
        with _member:
            if _stopped:
                stop(_stopped[0])
            yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, before)
