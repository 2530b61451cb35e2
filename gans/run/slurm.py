"""The SLURM job of this process: its id, whether it was requeued, and requeueing it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from gans.errors import HANGUP, InterruptedTraining

REQUEUE_SIGNAL = getattr(signal, "SIGUSR1", None)
"""``sbatch --signal=USR1@90`` sends it 90 seconds before the time limit or preemption."""

REPEATED_SECONDS = 1.0
"""Ctrl-C that comes again within this time is the same: both a process and its group may receive it."""


def job() -> str | None:
    """The job's id, which a requeue does not change; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def was_requeued() -> bool:
    return job() is not None and os.environ.get("SLURM_RESTART_COUNT", "0") != "0"


@contextmanager
def requeuing() -> Iterator[None]:
    """Inside, ``REQUEUE_SIGNAL`` stops this process, before training hears it too, and requeues its job."""

    def stop(number: int, _: object) -> None:
        for each in stop_signals():  # they may be sent again, as by the requeue itself
            signal.signal(each, signal.SIG_IGN)
        raise InterruptedTraining(f"stopped by {signal.Signals(number).name}", number)

    number = REQUEUE_SIGNAL if job() is not None and current_thread() is main_thread() else None
    if number is None or signal.getsignal(number) == signal.SIG_IGN:
        yield
        return
    before = signal.signal(number, stop)
    try:
        yield
    except InterruptedTraining as stopped:
        if stopped.signal_number != number:
            raise
        raise InterruptedTraining(f"{stopped}: {requeue()}", number) from None
    finally:
        signal.signal(number, before)


def stop_signals() -> list[int]:
    """The signals that ask this process to save and stop."""
    requeue_signal = None if job() is None else REQUEUE_SIGNAL
    return [number for number in (signal.SIGINT, signal.SIGTERM, HANGUP, requeue_signal) if number is not None]


def insists(number: int, seconds: float) -> bool:
    """Whether a signal, so many seconds after one that was heard, asks to stop at once, without a checkpoint.

    Only Ctrl-C does, and not within ``REPEATED_SECONDS``. Others repeat by themselves: SLURM sends them to a process
    and its group, and at a time limit another one; Linux sends a sweep's members one for each thread of a leader that
    dies.
    """
    return number == signal.SIGINT and seconds >= REPEATED_SECONDS


def requeue() -> str:
    """Requeue this job, and return a message about the result."""
    command = ["scontrol", "requeue", job() or ""]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        return f"'{' '.join(command)}' failed: {' '.join(reason.split())}"
    return f"job {job()} is requeued, and goes on by itself"
