"""Time spent in chosen functions."""

from time import perf_counter
from typing import Any


class Stopwatch:
    """Adds up the time spent in the functions it wraps, and counts their calls."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0

    def wrap(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            start = perf_counter()
            try:
                return original(*arguments, **options)
            finally:
                self.seconds += perf_counter() - start
                self.calls += 1

        setattr(owner, name, timed)
