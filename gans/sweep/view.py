"""What a person watches while members run."""

import sys
import time
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gans.sweep.member import STOPPED, Member

LAST_BYTES = 4096
"""Of a log, which may be long, that are read for its last line."""


class View:
    """First where the logs are; then on a terminal a table of the members that run, elsewhere a line for each end."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.ended: set[Member] = set()
        self.has_begun = False
        self.before, self.start = sum(member.exit_code is not None for member in members), time.monotonic()
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
        to_run = sum(member.exit_code is None for member in self.members)
        if to_run and not self.has_begun:
            print(
                f"sweep: {to_run} of {len(self.members)} members to run; see {self.members[0].log.parent}", flush=True
            )
        self.has_begun = True
        for member in self.members:
            if member.exit_code is not None and member not in self.ended:
                self.ended.add(member)
                outcome = {0: "finished"}.get(member.exit_code, "stopped" if member.exit_code in STOPPED else "failed")
                print(f"sweep: {self.progress()}: {member.name}: {outcome}", flush=True)
        if self.live.is_started:
            table = Table("member", "", title=self.progress())
            for member in self.members:
                if member.exit_code is None and (lines := member.lines(LAST_BYTES)):
                    table.add_row(Text(member.name), Text(lines[-1]))  # plain: brackets are lists, not colours
            self.live.update(table, refresh=True)

    def progress(self) -> str:
        """How many members are done, and when all will be, if none is stopped and all take as long as those before."""
        done, count = sum(member.exit_code not in STOPPED for member in self.ended), len(self.members)
        half_done = sum(member.has_process and member.exit_code is None for member in self.members) / 2  # on average
        seconds = (time.monotonic() - self.start) * (count - done) / max(1, done - self.before + half_done)
        goes_on = self.before < done < count and done == len(self.ended)
        when = f", all in about {timedelta(seconds=round(seconds))}" if goes_on else ""
        return f"{done} of {count} members are done{when}"
