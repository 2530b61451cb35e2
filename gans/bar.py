"""Progress bars: lively on a screen, a line every ten seconds in a log."""

import sys
from typing import Any

from tqdm import tqdm

place: int | None = None
"""Which line of the screen is for this process's bars, counted from 0, where processes share the screen."""


def progress_bar(**options: Any) -> tqdm:
    """A tqdm bar on standard error."""
    return tqdm(dynamic_ncols=True, mininterval=0.2 if sys.stderr.isatty() else 10.0, position=place, **options)
