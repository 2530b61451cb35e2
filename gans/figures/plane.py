"""Generated points, data points and the discriminator's landscape in the plane: at the end, and as a film."""

from pathlib import Path
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gans.figures.drawing import save, save_film
from gans.run.folder import Grid, RunFolder

ARROW_SPACING = 5
"""In lattice points."""


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """plane.png, the last recorded step, and plane.gif, all recorded steps; for 2-D points only."""
    if not run.grids or run.grids[0].images.shape[1:] != (2,):
        return []
    last = Figure(figsize=(6.4, 6), layout="constrained")
    show(run, run.grids[-1], last)
    frames = [frame(run, grid) for grid in run.grids]
    return [save(last, folder / "plane.png"), save_film(frames, folder / "plane.gif")]


def frame(run: RunFolder, grid: Grid) -> Image.Image:
    """A frame of the film."""
    figure = Figure(figsize=(4.2, 4.2), dpi=80, layout="constrained")
    show(run, grid, figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(numpy.asarray(canvas.buffer_rgba())).convert("P", palette=Image.Palette.ADAPTIVE)


def show(run: RunFolder, grid: Grid, figure: Figure) -> None:
    axes = figure.subplots()
    landscape(axes, grid)
    data, _ = run.data_samples
    axes.scatter(data[:, 0], data[:, 1], s=22, marker="+", linewidths=0.7, color="black", label="data")
    axes.scatter(grid.images[:, 0], grid.images[:, 1], s=5, color="tab:red", label="generated", zorder=3)
    extent = numpy.abs(grid.landscape["lattice"]).max()
    axes.set_xlim(-extent, extent)
    axes.set_ylim(-extent, extent)
    axes.set_aspect("equal")
    axes.legend(loc="upper right", fontsize=7)
    axes.set_title(f"{run.name}\nepoch {grid.epoch:.3g}, training step {grid.step:,}", fontsize=8)
    axes.tick_params(labelsize=7)


def landscape(axes: Axes, grid: Grid) -> None:
    """Draw the ranks of the discriminator's scores, dark for more real, and the directions of their gradients."""
    lattice, scores, gradients = (grid.landscape[name] for name in ("lattice", "scores", "gradients"))
    side = round(len(lattice) ** 0.5)

    def square(values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(side, side, *values.shape[1:])

    x, y = square(lattice)[:, 0, 0], square(lattice)[0, :, 1]
    ranks = scores.argsort().argsort() / len(scores)  # outliers would hide differences between other scores
    axes.contourf(x, y, square(ranks).T, levels=20, cmap="Blues", alpha=0.7)
    every = slice(ARROW_SPACING // 2, None, ARROW_SPACING)
    arrows = square(gradients)[every, every]
    length = numpy.linalg.norm(arrows, axis=2, keepdims=True)
    arrows = arrows / numpy.maximum(length, numpy.finfo(numpy.float32).tiny)
    axes.quiver(x[every], y[every], arrows[..., 0].T, arrows[..., 1].T, color="0.35", scale=28, width=0.003)
