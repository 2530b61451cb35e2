"""Samples of the data set."""

from pathlib import Path

import numpy

from gans.figures.drawing import pad_row, picture, save
from gans.run import Run


def draw(run: Run, folder: Path) -> list[Path]:
    """data.png: a row of training images for each digit."""
    images, labels = run.data_samples
    columns = int(numpy.bincount(labels).max())
    present = numpy.unique(labels)
    rows = [pad_row(images[labels == label], columns) for label in present]
    names = [str(run.classes[label]) for label in present]
    return [save(picture(numpy.concatenate(rows), columns, "training images", names), folder / "data.png")]
