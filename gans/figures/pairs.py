"""Inputs, outputs and exact answers of a generator that transforms images, for held-out images."""

from pathlib import Path

from gans.figures.drawing import aligned_rows, save
from gans.run.folder import RunFolder


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """pairs.png: rows of inputs, outputs and exact answers, in turn."""
    if run.pairs is None:
        return []
    kinds = {kind: run.pairs[f"{kind}s"] for kind in ("input", "output", "answer")}
    return [save(aligned_rows(kinds, f"{run.name}\nheld-out test images"), folder / "pairs.png")]
