"""Input, output and exact answer on held-out images, for a generator that transforms images."""

from pathlib import Path

import numpy

from gans.figures.drawing import COLUMNS, pad_row, picture, save
from gans.run.folder import RunFolder


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """pairs.png: strips of three rows, the generator's inputs, its outputs and the exact answers."""
    if run.pairs is None:
        return []
    kinds = ("inputs", "outputs", "answers")
    count = len(run.pairs["inputs"])
    columns = min(COLUMNS, count)
    strips, names = [], []
    for start in range(0, count, columns):
        for kind in kinds:
            strips.append(pad_row(run.pairs[kind][start : start + columns], columns))
            names.append(kind.removesuffix("s"))
    title = f"{run.name}\nheld-out test images"
    return [save(picture(numpy.concatenate(strips), columns, title, names), folder / "pairs.png")]
