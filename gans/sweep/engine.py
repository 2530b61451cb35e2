"""What all engines share. An engine starts members, tells how they have ended, and stops them."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from pydantic import AfterValidator, Field

from gans.config.schema import Options
from gans.errors import InputError, let_go_of_terminal
from gans.run import slurm
from gans.sweep.member import Member

POLL_SECONDS = 0.2


def not_zero(n_jobs: int) -> int:
    if n_jobs == 0:
        raise ValueError("it is how many run at once, or -1 for as many as there is room for")
    return n_jobs


class Engine(Options, ABC):
    """Its fields are the options of conf/hydra/launcher/."""

    n_jobs: Annotated[int, Field(ge=-1), AfterValidator(not_zero)]

    def prepare(self, members: int, accelerators: Collection[str]) -> None:
        """Be told, before the first start, how many members there are, and Lightning's names of their devices."""

    def open(self) -> None:
        """Members are about to start; signals still do what they always do."""

    @property
    def at_once(self) -> int | None:
        """How many members are started at once; None: all."""
        return None if self.n_jobs == -1 else self.n_jobs

    @abstractmethod
    def start(self, members: Sequence[Member]) -> None:
        """Start these members, which run side by side; their output goes to their logs."""

    @abstractmethod
    def poll(self, members: Sequence[Member]) -> None:
        """Set the exit codes of those that have ended."""

    def stop(self, members: Sequence[Member], kill: bool) -> None:
        """Ask members to save and stop, or kill them."""

    def left(self, members: Sequence[Member], stopped: bool) -> str:
        """What to say of members that go on without this process; "" if there are none, or if it waits for them."""
        return ""

    def close(self) -> None:
        """All have ended, or go on without this process."""

    def run(self, members: Sequence[Member], show: Callable[[], None]) -> tuple[list[int], str]:
        """Run all members that have not ended, and call ``show`` while they run.

        Returns the signals that have come, and what to say of members that go on without this process. The first
        signal asks members to save and stop, and no other starts; a later Ctrl-C kills them. An InputError of ``show``
        stops them too, and is raised when they have ended.
        """
        waiting = [member for member in members if member.exit_code is None]
        running: list[Member] = []
        answered, left = 0, ""
        of_no_use: InputError | None = None
        if waiting:
            self.open()
        with received_signals() as received:
            try:
                while not left and (running or (waiting and not received and not of_no_use)):
                    room = len(waiting) if self.at_once is None else self.at_once - len(running)
                    if not (received or of_no_use) and (new := waiting[:room]):
                        self.start(new)
                        for member in new:
                            member.has_process = self.at_once is not None
                        running, waiting = running + new, waiting[room:]
                    for _ in received[answered:]:
                        self.stop(running, kill=answered > 0)
                        answered += 1
                    self.poll(running)
                    running = [member for member in running if member.exit_code is None]
                    try:
                        if not of_no_use:
                            show()
                    except InputError as error:
                        of_no_use = error
                        self.stop(running, kill=False)
                    left = self.left(running, stopped=answered > 0 or of_no_use is not None)
                    time.sleep(POLL_SECONDS)
            finally:
                self.close()
        if of_no_use:
            raise InputError(f"{of_no_use}. {left}" if left else str(of_no_use)) from of_no_use
        show()
        return received, left


@contextmanager
def received_signals() -> Iterator[list[int]]:
    """Inside, the first signal to stop and those that insist are collected; not those that this process ignores."""
    received: list[int] = []
    latest = 0.0

    def take(number: int, _: object) -> None:
        nonlocal latest
        let_go_of_terminal(number)
        if not received or slurm.insists(number, time.monotonic() - latest):
            received.append(number)
            latest = time.monotonic()

    heard = [number for number in slurm.stop_signals() if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, take) for number in heard}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
