"""Members of a sweep at once, in processes of their own, and how a signal ends all of them in order."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
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

from gans import bar, slurm
from gans.errors import InterruptedTraining

_received: list[int] = []
"""The signals that have ended the sweep which this process leads."""

_waiting: list[int] = []
"""The signals that came to this process, which is a member's, between two members."""

_member = Lock()
"""Held while a member runs in this process."""


def count_members(config: DictConfig) -> int:
    """How many members a sweep has: the product of its options' numbers of values."""
    given = [
        *config.hydra.overrides.task,
        *(f"{name}={it}" for name, it in (config.hydra.sweeper.params or {}).items()),
    ]
    overrides = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(given)
    return prod(sum(1 for _ in each.sweep_string_iterator()) for each in overrides if each.is_sweep_override())


def jobs_at_once(members: int, accelerator: str) -> int:
    """One for each core, which takes one thread then; on a GPU one, which has the GPU for itself."""
    if not hasattr(signal, "pthread_sigmask"):
        return 1  # where signals can't wait, there is no end in order for several
    if accelerator != "cpu":
        import torch  # noqa: PLC0415, a sweep on the CPU asks for it in its members only

        if accelerator != "auto" or torch.accelerator.is_available():
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
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    reading, writing = os.pipe()  # tells of a signal at once, whatever this thread waits for
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    Thread(target=_pass_on, args=(numbers, reading), daemon=True).start()


def received() -> int | None:
    """The signal that has ended the sweep which this process leads, if one has."""
    return _received[0] if _received else None


def _pass_on(numbers: set[signal.Signals], pipe: int) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    _received.append(os.read(pipe, 1)[0])
    Thread(target=_stop_members, daemon=True).start()
    number = os.read(pipe, 1)[0]
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(128 + number)  # the second signal kills, as it does to a single run


def _stop_members() -> None:
    """The members' processes, also those that are about to start."""
    told: set[int | None] = set()
    while True:
        for process in multiprocessing.active_children():
            if process.pid not in told:
                process.terminate()
                told.add(process.pid)
        time.sleep(0.1)


def follow(leader: int, jobs: int) -> None:
    """Make this process one of several members' processes: it stops in order if its leader is killed.

    Args:
        leader: the process that leads the sweep.
        jobs: how many members run at once.
    """
    if bar.place is not None:
        return
    number = int(multiprocessing.current_process().name.rpartition("-")[2])
    bar.place = (number - 1) % jobs
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, and the leader passes it on
    signal.signal(signal.SIGTERM, lambda number, _: _waiting.append(number))
    Thread(target=_watch, args=(leader,), daemon=True).start()


def _watch(leader: int) -> None:
    while os.getppid() == leader:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    with _member:
        os._exit(128 + signal.SIGTERM)


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGTERM raises ``InterruptedTraining`` where nothing else answers it, also if it came before."""

    def stop(number: int, _: FrameType | None = None) -> None:
        raise InterruptedTraining(f"stopped by {signal.Signals(number).name}", number)

    before = signal.signal(signal.SIGTERM, stop)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}) if hasattr(signal, "pthread_sigmask") else None
    try:
        with _member:
            for number in _waiting:
                stop(number)
            yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, before)
