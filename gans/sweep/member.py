"""A member of a sweep: one command, its log, and what came of it."""

import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gans.errors import InterruptedTraining
from gans.run import slurm

LEADER = "GANS_SWEEP_LEADER"
"""Environment variable of a member: the process id of its leader; "none" on SLURM, where it outlives the leader."""
KILLED, STOPPED = 137, (143, 130, 138, 129)
"""Exit codes of a command that SIGKILL has ended, as when memory runs out, and of one that was asked to stop."""
LITTLE = 100_000
"""Bytes that are too few for a run to start."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when its parent dies."""


@dataclass(eq=False)
class Member:
    """One command of a sweep."""

    name: str
    command: Sequence[str]
    log: Path
    """What the command prints."""
    exit_code: int | None = None
    """None until it has ended; of a command that a signal has killed 128 more than the signal's number."""

    has_process: bool = False
    """Whether it runs or has run; stays False where something else decides when it runs, such as SLURM."""

    @property
    def failure(self) -> str:
        """Why it failed: the last error that it has printed, or else its last line; "" if it did not fail."""
        if self.exit_code in (None, 0, *STOPPED):
            return ""
        if self.exit_code == KILLED:
            return "its process was killed, perhaps for want of memory"
        lines = [f"exit code {self.exit_code}", *self.lines()]
        if len(lines) == 1 and shutil.disk_usage(self.log.parent).free < LITTLE:
            return f"no space is left for its log, '{self.log}'"
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines)[-1].removeprefix("error: ")

    def lines(self, most: int = sys.maxsize) -> list[str]:
        """What it has printed, or its last ``most`` bytes; a progress bar writes over its line."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            text = file.read().decode("utf-8", errors="replace")
        return [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]


def follow_leader() -> bool:
    """Whether this process is a sweep's member. If so, it is to save and stop when its leader dies (on Linux)."""
    leader = os.environ.get(LEADER, "")
    if leader.isdigit():
        if slurm.REQUEUE_SIGNAL is not None:
            signal.signal(slurm.REQUEUE_SIGNAL, signal.SIG_IGN)  # the leader answers it, for all members
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != int(leader):  # it died before this process could ask for the signal
                raise InterruptedTraining("stopped: the process that leads the sweep is gone", signal.SIGTERM)
    return leader != ""
