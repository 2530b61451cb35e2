"""The memorisation check: the generated images that are nearest to a training image, and how near all are."""

from pathlib import Path

import numpy
from matplotlib.figure import Figure

from gans.figures.drawing import COLUMNS, pad_row, picture, save
from gans.run.folder import RunFolder


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """neighbours.png, pairs of rows: generated, nearest training image; and neighbour_distances.png."""
    if run.neighbours is None:
        return []
    images, neighbours = run.neighbours["images"], run.neighbours["neighbours"]
    columns = min(COLUMNS, len(images))
    strips, names = [], []
    for start in range(0, len(images), columns):
        for name, rows in (("generated", images), ("nearest", neighbours)):
            strips.append(pad_row(rows[start : start + columns], columns))
            names.append(name)
    title = f"{run.name}\nthe generated images that are nearest to a training image"
    return [
        save(picture(numpy.concatenate(strips), columns, title, names), folder / "neighbours.png"),
        save(distances(run), folder / "neighbour_distances.png"),
    ]


def distances(run: RunFolder) -> Figure:
    """How far generated and held-out images are from their nearest training image."""
    assert run.neighbours is not None
    generated, held_out = run.neighbours["distances"], run.neighbours["held_out_distances"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    bins = numpy.linspace(0, max(generated.max(), held_out.max()), 60).tolist()
    axes.hist(held_out, bins, alpha=0.6, label="held-out test images", density=True)
    axes.hist(generated, bins, alpha=0.6, label="generated images", density=True)
    axes.set_xlabel("distance to the nearest training image, in features")
    axes.set_ylabel("density")
    axes.set_title(run.name, fontsize=10)
    axes.legend()
    return figure
