"""Commands in processes of their own, a few at a time, and how a signal ends all of them in order."""

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gans.errors import InterruptedTraining
from gans.run import slurm

LEADER = "GANS_SWEEP_LEADER"
"""Environment variable of a member: the process id of its sweep's leader."""
POLL_SECONDS = 0.2
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when its parent dies."""


@dataclass
class Member:
    """One command of a sweep."""

    overrides: Sequence[str]
    log: Path
    """What the command prints."""
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    """None until it has ended; of a command that a signal has killed 128 more than the signal's number."""

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.exit_code is None

    def last_line(self) -> str:
        """The last line that it has printed; a progress bar writes over its line."""
        return next(reversed(self._lines()), "")

    def reason(self) -> str:
        """The last error that it has printed, or else its last line."""
        errors = [line.removeprefix("error: ") for line in self._lines() if line.startswith("error: ")]
        return errors[-1] if errors else self.last_line()

    def _lines(self) -> list[str]:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]


@dataclass
class ProcessPool:
    """Runs members, one in each slot.

    Args:
        command: what comes before a member's overrides.
        slots: further environment variables for the members of each slot.
    """

    command: Sequence[str]
    slots: Sequence[Mapping[str, str]]
    received: list[int] = field(default_factory=list)
    """The signals that have come; after the first one no member starts."""

    def run(self, members: Sequence[Member], show: Callable[[], None]) -> None:
        """Run all members that have not ended, and call ``show`` while they run. A signal ends all of them."""
        waiting = [member for member in members if member.exit_code is None]
        running: dict[int, Member] = {}
        with self._listening(members):
            while running or (waiting and not self.received):
                for slot in range(len(self.slots)):
                    if slot not in running and waiting and not self.received:
                        running[slot] = waiting.pop(0)
                        self._start(running[slot], self.slots[slot])
                show()
                time.sleep(POLL_SECONDS)
                for slot, member in list(running.items()):
                    assert member.process is not None
                    code = member.process.poll()
                    if code is not None:
                        member.exit_code = code if code >= 0 else 128 - code
                        del running[slot]
        show()

    def _start(self, member: Member, environment: Mapping[str, str]) -> None:
        with member.log.open("wb") as log:
            member.process = subprocess.Popen(
                [*self.command, *member.overrides],
                env={**os.environ, **environment, LEADER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the leader, which passes it on once
            )
        if self.received:  # while the process was being started
            member.process.terminate()

    @contextmanager
    def _listening(self, members: Sequence[Member]) -> Iterator[None]:
        """Inside, the first signal asks all members to save and stop; one that comes a second later kills them."""
        first = math.inf

        def answer(number: int, _: object) -> None:
            nonlocal first
            if 0 <= time.monotonic() - first < slurm.REPEATED_SECONDS:
                return
            first = min(first, time.monotonic())
            self.received.append(number)
            for member in members:
                if member.is_running and member.process is not None:
                    (member.process.terminate if len(self.received) == 1 else member.process.kill)()

        before = {number: signal.signal(number, answer) for number in slurm.stop_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def follow_leader() -> bool:
    """Whether this process is a sweep's member. If so, it is to save and stop when its leader dies (on Linux)."""
    leader = os.environ.get(LEADER)
    if leader is None:
        return False
    if slurm.REQUEUE_SIGNAL is not None:
        signal.signal(slurm.REQUEUE_SIGNAL, signal.SIG_IGN)  # the leader answers it, for all members
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(leader):  # it died before this process could ask for the signal
        raise InterruptedTraining("stopped: the process that leads the sweep is gone", signal.SIGTERM)
    return True
