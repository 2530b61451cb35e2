"""What a person watches while members run."""

import sys
import time
from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gans.sweep.member import Member


class View:
    """On a terminal a table of the members that run, elsewhere a line for each that ends."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.ended: set[int] = set()
        # stdout goes through the table only where it is the same terminal, not where it is a file
        self.live = Live(
            console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty()
        )

    def __enter__(self) -> "View":
        if sys.stderr.isatty():
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def refresh(self) -> None:
        for number, member in enumerate(self.members):
            if member.exit_code is not None and number not in self.ended:
                self.ended.add(number)
                outcome = member.outcome.partition(":")[0]
                print(f"sweep: {self.progress()}: {member.title}: {outcome}", flush=True)
        if self.live.is_started:
            table = Table("member", "", title=self.progress())
            for member in self.members:
                if member.exit_code is None and member.state != "not started":
                    state = member.last_line() if member.is_running else member.state
                    table.add_row(Text(member.title), Text(state))  # plain: brackets are lists, not colours
            self.live.update(table, refresh=True)

    def progress(self) -> str:
        """How many members are done, and when all will be."""
        left = seconds_left(self.members)
        when = "" if left is None else f", all in about {duration(left)}"
        return f"{len(self.ended)} of {len(self.members)} members are done{when}"


def seconds_left(members: Sequence[Member]) -> float | None:
    """Until all members have ended, if each takes as long as those that have finished; None if there is no telling."""
    took = [member.seconds for member in members if member.exit_code == 0 and member.seconds is not None]
    left = [member for member in members if member.exit_code is None]
    if not took or not left:
        return None
    now = time.monotonic()
    remaining = [mean(took) - (now - member.started if member.started is not None else 0.0) for member in left]
    at_once = max(1, sum(member.is_running for member in left))
    return max(sum(max(0.0, each) for each in remaining) / at_once, *remaining, 0.0)


def duration(seconds: float) -> str:
    """A duration in its largest fitting unit, such as "12 minutes"."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
