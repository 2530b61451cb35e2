"""A member of a sweep: one command, its log, and what came of it."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gans.files import write_json
from gans.run import slurm

LEADER = "GANS_SWEEP_LEADER"
"""Environment variable of a member: the process id of its sweep's leader, or ``NO_LEADER``."""
NO_LEADER = "none"
"""A member of a SLURM array gets its signals from SLURM, and outlives the process that has submitted it."""
KILLED, STOPPED = 137, (130, 143)
"""Exit codes of a command that SIGKILL has ended, as when memory runs out, and of one that was stopped in order."""


@dataclass
class Member:
    """One command of a sweep."""

    overrides: Sequence[str]
    log: Path
    """What the command prints. Its result is written beside it."""
    identity: str = ""
    """Equal for members that do the same to the same run."""
    name: str = ""
    """What it is called; empty: its overrides say it."""
    exit_code: int | None = None
    """None until it has ended; of a command that a signal has killed 128 more than the signal's number."""
    state: str = "not started"
    """Of a member that has not ended."""
    job: str | None = None
    """Its id where a scheduler runs it."""
    started: float | None = field(default=None, repr=False)
    seconds: float | None = None
    """How long it ran, if it ran."""

    @property
    def title(self) -> str:
        return self.name or " ".join(self.overrides)

    @property
    def is_running(self) -> bool:
        return self.started is not None and self.exit_code is None

    @property
    def result_file(self) -> Path:
        return self.log.with_suffix(".json")

    @property
    def exit_code_file(self) -> Path:
        """Where a process on another machine leaves its exit code."""
        return self.log.with_suffix(".exit")

    def start(self) -> None:
        self.state, self.started = "running", time.monotonic()

    def end(self, exit_code: int) -> None:
        self.exit_code = exit_code
        self.seconds = None if self.started is None else time.monotonic() - self.started

    def left_exit_code(self) -> int | None:
        """What is in ``exit_code_file``; None if it is not there or not whole."""
        text = self.exit_code_file.read_text(encoding="utf-8") if self.exit_code_file.exists() else ""
        return int(text) if text.strip().isdigit() else None

    @property
    def outcome(self) -> str:
        """What came of it, in a few words."""
        if self.exit_code is None:
            return self.state
        if self.exit_code == 0:
            return "finished"
        if self.exit_code in STOPPED:
            return "stopped"
        if self.exit_code == KILLED:
            return "failed: its process was killed, perhaps for want of memory"
        return f"failed: {self.reason()}"

    def write_result(self) -> None:
        names = ("identity", "job", "exit_code", "outcome", "seconds")
        write_json(
            self.result_file, {"overrides": list(self.overrides)} | {name: getattr(self, name) for name in names}
        )

    def last_line(self) -> str:
        """The last line that it has printed; a progress bar writes over its line."""
        return next(reversed(self.lines()), "")

    def reason(self) -> str:
        """The last error that it has printed, or else its last line."""
        errors = [line.removeprefix("error: ") for line in self.lines() if line.startswith("error: ")]
        return errors[-1] if errors else self.last_line()

    def lines(self) -> list[str]:
        """What it has printed."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]


class Engine(Protocol):
    """Something that runs members."""

    received: list[int]
    """The signals that have come; after the first one no member starts."""

    def run(self, members: Sequence[Member], show: Callable[[], None]) -> None:
        """Run all members that have not ended, and call ``show`` while they run. A signal ends it."""

    @property
    def at_once(self) -> int | None:
        """How many members run at once; None if that is not known here."""

    @property
    def leaves(self) -> str:
        """What to say of members that go on without this process; "" if none does."""


@contextmanager
def on_signals(received: list[int], answer: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Inside, signals that ask this process to stop are added to ``received``, and answered; not one that comes again
    at once."""
    first = 0.0

    def take(number: int, _: object) -> None:
        nonlocal first
        if received and time.monotonic() - first < slurm.REPEATED_SECONDS:
            return
        first = first or time.monotonic()
        received.append(number)
        answer()

    before = {number: signal.signal(number, take) for number in slurm.stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_result(path: Path) -> dict[str, Any]:
    """What ``write_result`` has written; empty if it can't be read."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return result if isinstance(result, dict) else {}
    except (OSError, ValueError):
        return {}
