"""Figures, one per file: ``draw(run, folder)`` reads a run folder and saves what the run has data for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gans.figures.files import FigureFolder, in_style
from gans.files import Format
from gans.run.folder import RunFolder

Draw = Callable[[RunFolder, FigureFolder], None]


class Drawn(NamedTuple):
    """What became of a run's figures."""

    files: list[Path]
    failed: dict[str, Exception]
    """The error of each figure that raised one, by the figure's name."""
    without_data: list[str]
    """The figures for which the run has no data."""


def draw(run: RunFolder, figures: Mapping[str, Draw], formats: Sequence[Format] = ("png",)) -> Drawn:
    """Draw the figures for which the run has data, in its ``figures`` folder; one that fails stops no other."""
    run.figures.mkdir(exist_ok=True)
    folder = FigureFolder(run.figures, formats)
    failed: dict[str, Exception] = {}
    without_data: list[str] = []
    for name, figure in figures.items():
        before = len(folder.files)
        try:
            with in_style():
                figure(run, folder)
        except Exception as error:  # anything, as figures may be a user's own
            failed[name] = error
        else:
            without_data += [name] if len(folder.files) == before else []
    return Drawn(folder.files, failed, without_data)
