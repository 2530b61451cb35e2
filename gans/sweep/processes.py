"""Commands in processes of their own, a few at a time, and how a signal ends all of them in order."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gans.errors import InterruptedTraining
from gans.run import slurm
from gans.sweep.member import LEADER, NO_LEADER, Member, on_signals

POLL_SECONDS = 0.2
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when its parent dies."""


@dataclass
class ProcessPool:
    """An engine that runs members on this machine, one in each slot.

    Args:
        command: what comes before a member's overrides.
        slots: further environment variables for the members of each slot.
    """

    command: Sequence[str]
    slots: Sequence[Mapping[str, str]]
    received: list[int] = field(default_factory=list)
    leaves: str = ""
    _processes: dict[int, tuple[Member, subprocess.Popen[bytes]]] = field(default_factory=dict)
    """Of each slot."""

    @property
    def at_once(self) -> int:
        return len(self.slots)

    def run(self, members: Sequence[Member], show: Callable[[], None]) -> None:
        """Run all members that have not ended, and call ``show`` while they run.

        The first signal asks them to save and stop; one that comes a second later kills them.
        """
        waiting = [member for member in members if member.exit_code is None]
        with on_signals(self.received, self._answer):
            while self._processes or (waiting and not self.received):
                for slot in range(len(self.slots)):
                    if slot not in self._processes and waiting and not self.received:
                        self._start(waiting.pop(0), slot)
                show()
                time.sleep(POLL_SECONDS)
                for slot, (member, process) in list(self._processes.items()):
                    code = process.poll()
                    if code is not None:
                        member.end(code if code >= 0 else 128 - code)
                        del self._processes[slot]
        show()

    def _start(self, member: Member, slot: int) -> None:
        with member.log.open("wb") as log:
            process = subprocess.Popen(
                [*self.command, *member.overrides],
                env={**os.environ, **self.slots[slot], LEADER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the leader, which passes it on once
            )
        member.start()
        self._processes[slot] = member, process
        if self.received:  # while the process was being started
            process.terminate()

    def _answer(self) -> None:
        for _, process in self._processes.values():
            (process.terminate if len(self.received) == 1 else process.kill)()


def follow_leader() -> bool:
    """Whether this process is a sweep's member. If so, it is to save and stop when its leader dies (on Linux)."""
    leader = os.environ.get(LEADER)
    if leader is None or leader == NO_LEADER:
        return leader is not None
    if slurm.REQUEUE_SIGNAL is not None:
        signal.signal(slurm.REQUEUE_SIGNAL, signal.SIG_IGN)  # the leader answers it, for all members
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(leader):  # it died before this process could ask for the signal
        raise InterruptedTraining("stopped: the process that leads the sweep is gone", signal.SIGTERM)
    return True
