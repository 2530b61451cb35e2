"""Figures, one per file: ``draw(run, folder)`` reads a run folder and saves what the run has data for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gans.figures.files import FigureFolder, in_style
from gans.files import Format
from gans.run.folder import RunFolder

Draw = Callable[[RunFolder, FigureFolder], None]


def draw(run: RunFolder, figures: Mapping[str, Draw], formats: Sequence[Format] = ("png",)) -> list[Path]:
    """Draw the figures for which the run has data, in its ``figures`` folder, and return the files."""
    run.figures.mkdir(exist_ok=True)
    folder = FigureFolder(run.figures, formats)
    with in_style():
        for figure in figures.values():
            figure(run, folder)
    return folder.files
