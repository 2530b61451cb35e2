"""Samples of the data set."""

from pathlib import Path

import numpy

from gans.figures.drawing import picture, save
from gans.run import Run


def draw(run: Run, folder: Path) -> list[Path]:
    """data.png: a row of training images for each digit."""
    images, labels = run.data_samples
    columns = int(numpy.bincount(labels).max())
    present = numpy.unique(labels)
    rows = [images[labels == label] for label in present]
    padded = [numpy.pad(row, ((0, columns - len(row)), (0, 0), (0, 0)), constant_values=128) for row in rows]
    names = [str(run.classes[label]) for label in present]
    return [save(picture(numpy.concatenate(padded), columns, "training images", names), folder / "data.png")]
