"""Memorisation check: generated images beside their nearest training images, and all distances."""

from typing import Any

import numpy
from matplotlib.figure import Figure

from gans.figures.drawing import BLUE, VERMILLION, finite, set_legend, set_title
from gans.figures.files import FigureFolder
from gans.figures.names import run_title
from gans.figures.sheets import aligned_rows
from gans.run.folder import RunFolder

BINS = 60


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """neighbours.png, with generated images above their nearest training images, and neighbour_distances.png."""
    if run.neighbours is None:
        return
    kinds = {"generated": run.neighbours["images"], "nearest": run.neighbours["neighbours"]}
    title = run_title(run.config)
    folder.save("neighbours", aligned_rows(kinds, f"{title}\nthe generated images nearest to training images"))
    folder.save("neighbour_distances", distances(run.neighbours, title))


def distances(arrays: dict[str, Any], title: str) -> Figure:
    """Histograms of the distances of generated and held-out images to their nearest training image."""
    kinds = {"held-out test images": arrays["held_out_distances"], "generated images": arrays["distances"]}
    kinds = {label: values[finite(values)] for label, values in kinds.items()}
    largest = max((float(values.max()) for values in kinds.values() if len(values)), default=0) or 1
    bins = numpy.linspace(0, largest, BINS + 1).tolist()
    figure = Figure(figsize=(7, 4), layout="constrained")
    set_title(figure, title)
    axes = figure.subplots()
    styles: list[dict[str, Any]] = [
        {"histtype": "stepfilled", "facecolor": f"{BLUE}55", "edgecolor": BLUE, "linestyle": "--"},
        {"histtype": "step", "edgecolor": VERMILLION, "linewidth": 1.8},
    ]
    for (label, values), style in zip(kinds.items(), styles, strict=True):
        if len(values):
            axes.hist(values, bins, density=True, label=label, **style)
    axes.set_xlabel("distance to the nearest training image, in feature space")
    axes.set_ylabel("density")
    set_legend(figure, axes)
    return figure
