"""Inputs, outputs and exact answers of a generator that transforms images, for held-out images."""

from gans.figures.files import FigureFolder
from gans.figures.names import run_title
from gans.figures.sheets import aligned_rows
from gans.run.folder import RunFolder


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """pairs.png: rows of inputs, outputs and exact answers, in turn."""
    if run.pairs is None:
        return
    kinds = {kind: run.pairs[f"{kind}s"] for kind in ("input", "output", "answer")}
    folder.save("pairs", aligned_rows(kinds, f"{run_title(run.config)}\nheld-out test images"))
