"""Where figures are saved, in one or more formats."""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, LogFormatterMathtext
from PIL import Image

from gans.errors import InputError, warn
from gans.files import Format, replacing

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports every letter that a PDF holds

DPI = 110
FRAME_MS = 150
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "gans", "pdf.fonttype": 42, "image.composite_image": False,
    "text.parse_math": False, "text.usetex": False, "axes.formatter.use_mathtext": False,
}  # fmt: skip
"""Text stays text: in SVG as text, in PDF as Type 42 fonts. A fixed salt makes the same figure the same file. No text
is read as a formula, since names of classes and arms may contain ``$``: make and save figures within ``in_style()``."""
WITHOUT_DATE: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def padded(number: int, largest: int, digits: int = 4) -> str:
    """A number with leading zeros, so that names up to the largest number sort as the numbers do."""
    return f"{number:0{max(digits, len(str(largest)))}d}"


def in_style() -> AbstractContextManager[None]:
    """Inside, figures are made and drawn in STYLE."""
    return matplotlib.rc_context(STYLE)


def write_powers_as_numbers(figure: Figure) -> None:
    """The usual labels of a logarithmic axis are formulas, which STYLE shows as they are written: write 100 instead."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(LogFormatter())


@contextmanager
def one_line_for_missing_letters() -> Iterator[None]:
    """Matplotlib warns of each letter of each text that its font lacks: print one line for all instead."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    letters = set()
    for each in caught:
        if found := re.match(r"Glyph (\d+) .*missing from", str(each.message)):
            letters.add(chr(int(found[1])))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if letters:
        warn(
            f"the figures show boxes for {''.join(sorted(letters))}, which their font lacks: name another one "
            "as font.family in the file matplotlibrc"
        )


class FigureFolder:
    """Saves figures in a folder.

    Args:
        formats: each figure is saved in every one of them.
    """

    def __init__(self, path: Path, formats: Sequence[Format] = ("png",)) -> None:
        self.path = path
        self.formats = formats
        self.files: list[Path] = []
        """What was saved."""

    def save(self, name: str, figure: Figure) -> None:
        """Save ``name.png``, ``name.svg``, ..."""
        with in_style():
            write_powers_as_numbers(figure)
            figure.draw_without_rendering()  # the layout needs the ticks of the layout before it
            for suffix in self.formats:
                with self._saving(f"{name}.{suffix}") as target:
                    figure.savefig(target, format=suffix, dpi=DPI, metadata=WITHOUT_DATE[suffix])

    def save_film(self, name: str, frames: Sequence[Image.Image], last: int = 10) -> None:
        """Save ``name.gif``, which shows its last frame ``last`` times as long as others. It has this one format."""
        durations = [FRAME_MS] * (len(frames) - 1) + [last * FRAME_MS]
        with self._saving(f"{name}.gif") as target:
            frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)

    @contextmanager
    def _saving(self, name: str) -> Iterator[BinaryIO]:
        file = self.path / name
        if file in self.files:
            raise InputError(f"another figure has just been saved as '{file}': save this one under a name of its own")
        with replacing(file) as target:
            yield target
        self.files.append(file)
