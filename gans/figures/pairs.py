"""Input, output and exact answer on held-out images, for a generator that transforms images."""

from pathlib import Path

import numpy

from gans.figures.drawing import picture, save
from gans.run import Run

PER_STRIP = 10


def draw(run: Run, folder: Path) -> list[Path]:
    """pairs.png: strips of three rows, the generator's inputs, its outputs and the exact answers."""
    if run.pairs is None:
        return []
    kinds = ("inputs", "outputs", "answers")
    count = len(run.pairs["inputs"])
    columns = min(PER_STRIP, count)
    strips, names = [], []
    for start in range(0, count, columns):
        for kind in kinds:
            row = run.pairs[kind][start : start + columns]
            strips.append(numpy.pad(row, ((0, columns - len(row)), (0, 0), (0, 0)), constant_values=128))
            names.append(kind.removesuffix("s"))
    title = f"{run.name}\nheld-out test images"
    return [save(picture(numpy.concatenate(strips), columns, title, names), folder / "pairs.png")]
