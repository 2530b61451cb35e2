"""Signs of life of long work: a bar on a terminal, elsewhere a whole line every ten seconds."""

import sys
from threading import Event, Thread
from time import monotonic
from typing import ClassVar, Self

from tqdm import tqdm

LINE_SECONDS = 10.0
POLL_SECONDS = 0.5
FORMAT = "{l_bar}{bar:20}| {n_fmt}/{total_fmt} {unit} [{elapsed}, {remaining} left{postfix}]"
FORMAT_WITHOUT_TOTAL = "{desc}, for {elapsed}"


class Lines:
    """A file for tqdm that writes whole lines to stderr."""

    def write(self, text: str) -> None:
        if line := text.strip():
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


class ProgressBar:
    """Context manager: shows how far some work is. Work that ends soon shows nothing.

    It shows itself from a thread, so that a single slow call gives signs of life too. Of nested work, the innermost is
    shown.

    Args:
        title: what is done.
        total: number of units of the work; None: only the elapsed time is shown.
        done: number of units that were done before.
        keep: show it from the start, and leave its last state in sight.
        form: tqdm's ``bar_format``.
    """

    _active: ClassVar["list[ProgressBar]"] = []
    _printed_at = 0.0
    _over = Event()

    def __init__(
        self,
        title: str | None,
        total: int | None = None,
        unit: str = "",
        *,
        done: int = 0,
        keep: bool = False,
        form: str = FORMAT,
    ) -> None:
        self.in_lines = not sys.stderr.isatty()
        self.keep = keep
        self._noted_at = 0.0
        self._bar = tqdm(
            desc=title,
            total=total,
            initial=done,
            unit=unit,
            unit_scale=(total or 0) >= 100_000,
            position=0 if self.in_lines else None,
            bar_format=form if total else FORMAT_WITHOUT_TOTAL,
            file=Lines() if self.in_lines else sys.stderr,
            dynamic_ncols=True,
            mininterval=float("inf") if self.in_lines else 0.2,
            miniters=0,
            delay=1e-9 if keep or self.in_lines else 1.0,
            leave=keep,
        )

    def __enter__(self) -> Self:
        if not self._active:
            ProgressBar._printed_at = monotonic()
            ProgressBar._over = Event()
            Thread(target=_show_innermost, args=(self._over,), daemon=True).start()
        self._active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._active.remove(self)
        if not self._active:
            self._over.set()
        self._bar.close()  # which shows what is kept

    @property
    def is_due(self) -> bool:
        """Whether the last ``note`` is so old that a new one is worth its time."""
        return monotonic() - self._noted_at >= POLL_SECONDS

    def update(self, count: int = 1) -> None:
        """Count units of the work as done."""
        self._bar.update(count)

    def note(self, **values: str) -> None:
        """Values to show behind the bar."""
        self._noted_at = monotonic()
        self._bar.set_postfix(values, refresh=False)

    def show(self) -> None:
        """Draw the bar again or, ten seconds after the last line, write a line."""
        if not self.in_lines:
            self._bar.update(0)
        elif monotonic() - ProgressBar._printed_at >= LINE_SECONDS:
            ProgressBar._printed_at = monotonic()
            self._bar.refresh()


def _show_innermost(over: Event) -> None:
    while not over.wait(POLL_SECONDS):
        for innermost in ProgressBar._active[-1:]:
            innermost.show()
