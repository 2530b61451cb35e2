"""Figures, one per file: ``draw(run, folder)`` reads a run folder and returns the files that it wrote."""

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib

from gans.run.folder import RunFolder


def draw(run: RunFolder, figures: Mapping[str, Callable[[RunFolder, Path], list[Path]]]) -> list[Path]:
    """Draw the figures for which the run has data, in its ``figures`` folder."""
    matplotlib.use("Agg")
    run.figures.mkdir(exist_ok=True)
    return [file for figure in figures.values() for file in figure(run, run.figures)]
