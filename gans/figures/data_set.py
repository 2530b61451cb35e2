"""Samples of the data set."""

from pathlib import Path

import numpy

from gans.figures.drawing import COLUMNS, pad_row, picture, save
from gans.run.folder import RunFolder

ROWS = 25
"""At most, one for each class."""


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """data.png: a row of training images for each class, or some of all where there are many."""
    images, labels = run.data_samples
    if images.ndim == 2:  # points are drawn with the generated ones
        return []
    columns = int(numpy.bincount(labels).max())
    present = numpy.unique(labels)
    if len(present) > ROWS:
        some = numpy.random.default_rng(0).permutation(len(images))[: COLUMNS**2]  # they come in order of class
        return [save(picture(images[some], COLUMNS, "training images"), folder / "data.png")]
    rows = [pad_row(images[labels == label], columns) for label in present]
    names = [str(run.classes[label]) for label in present]
    return [save(picture(numpy.concatenate(rows), columns, "training images", names), folder / "data.png")]
