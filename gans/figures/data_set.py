"""Training images."""

import numpy

from gans.figures.files import FigureFolder
from gans.figures.names import class_names, run_title
from gans.figures.sheets import COLUMNS, in_rows, picture
from gans.run.folder import RunFolder

MAX_CLASSES = 40


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """data.png: a row of images for each class; random images if there are more than 40 classes."""
    images, labels = run.data_samples
    if images.ndim == 2:  # points are drawn with the generated ones
        return
    present = numpy.unique(labels).tolist()
    if len(present) > MAX_CLASSES:
        some = numpy.random.default_rng(0).permutation(len(images))[: COLUMNS**2]  # the images are sorted by class
        rows, names = in_rows(images[some]), []
    else:
        names = class_names(run.config, max(present) + 1, run.class_names)
        rows, names = [images[labels == label] for label in present], [names[label] for label in present]
    folder.save("data", picture(rows, f"training images\n{run_title(run.config)}", names))
