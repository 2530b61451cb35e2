"""Training images."""

from pathlib import Path

import numpy

from gans.figures.drawing import COLUMNS, pad_row, picture, save
from gans.run.folder import RunFolder

MAX_CLASSES = 25


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """data.png: a row of images for each class; random images if there are more than 25 classes."""
    images, labels = run.data_samples
    if images.ndim == 2:  # points are drawn with the generated ones
        return []
    columns = int(numpy.bincount(labels).max())
    present = numpy.unique(labels)
    if len(present) > MAX_CLASSES:
        some = numpy.random.default_rng(0).permutation(len(images))[: COLUMNS**2]  # the images are sorted by class
        return [save(picture(images[some], COLUMNS, "training images"), folder / "data.png")]
    rows = [pad_row(images[labels == label], columns) for label in present]
    digits = [run.config["data"]["digits"][label] for label in present]
    names = [run.class_names.get(digit, str(digit)) for digit in digits]
    return [save(picture(numpy.concatenate(rows), columns, "training images", names), folder / "data.png")]
