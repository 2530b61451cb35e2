"""Memorisation check: generated images beside their nearest training images, and all distances."""

from pathlib import Path

import numpy
from matplotlib.figure import Figure

from gans.figures.drawing import aligned_rows, save
from gans.run.folder import RunFolder


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """neighbours.png, with generated images above their nearest training images, and neighbour_distances.png."""
    if run.neighbours is None:
        return []
    kinds = {"generated": run.neighbours["images"], "nearest": run.neighbours["neighbours"]}
    title = f"{run.name}\nthe generated images nearest to training images"
    return [
        save(aligned_rows(kinds, title), folder / "neighbours.png"),
        save(distances(run), folder / "neighbour_distances.png"),
    ]


def distances(run: RunFolder) -> Figure:
    """Histograms of the distances of generated and held-out images to their nearest training image."""
    assert run.neighbours is not None
    generated, held_out = run.neighbours["distances"], run.neighbours["held_out_distances"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    bins = numpy.linspace(0, max(generated.max(), held_out.max()), 60).tolist()
    axes.hist(held_out, bins, alpha=0.6, label="held-out test images", density=True)
    axes.hist(generated, bins, alpha=0.6, label="generated images", density=True)
    axes.set_xlabel("distance to the nearest training image, in feature space")
    axes.set_ylabel("density")
    axes.set_title(run.name, fontsize=10)
    axes.legend()
    return figure
