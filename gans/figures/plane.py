"""Generated points, data points and the discriminator's landscape in the plane: at the end, and as a film."""

from typing import Any

import matplotlib
import numpy
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from gans.figures.drawing import BLACK, MANY, VERMILLION, set_legend, set_title
from gans.figures.files import FigureFolder
from gans.figures.names import run_title
from gans.run.folder import Grid, RunFolder

ARROW_SPACING = 5
"""In lattice points."""
DARKER = "dark: scored as more real"


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """plane.png, the last recorded step, and plane.gif, all recorded steps; for 2-D points only."""
    if not run.grids or run.grids[0].images.shape[1:] != (2,):
        return
    last = Figure(figsize=(6.4, 6.9), layout="constrained")
    show(run, run.grids[-1], last)
    folder.save("plane", last)
    folder.save_film("plane", [frame(run, grid) for grid in run.grids])


def frame(run: RunFolder, grid: Grid) -> Image.Image:
    """A frame of the film."""
    figure = Figure(figsize=(5, 5.4), dpi=80, layout="constrained")
    show(run, grid, figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(numpy.asarray(canvas.buffer_rgba())).convert("P", palette=Image.Palette.ADAPTIVE)


def show(run: RunFolder, grid: Grid, figure: Figure) -> None:
    set_title(figure, run_title(run.config), f"epoch {grid.epoch:.3g}, training step {grid.step:,}")
    axes = figure.subplots()
    landscape(axes, grid)
    data, _ = run.data_samples
    extent = numpy.abs(grid.landscape["lattice"]).max()
    clouds: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {
        "data": (data, {"s": 22, "marker": "+", "linewidths": 0.7, "color": BLACK}),
        "generated": (grid.images, {"s": 6, "color": VERMILLION, "zorder": 3}),
    }
    for label, (points, style) in clouds.items():
        outside = len(points) - int((numpy.abs(points) <= extent).all(1).sum())
        name = f"{label} ({outside:,} outside)" if outside else label
        axes.scatter(points[:, 0], points[:, 1], label=name, rasterized=len(points) > MANY, **style)
    axes.set_xlim(-extent, extent)
    axes.set_ylim(-extent, extent)
    axes.set_aspect("equal")
    axes.set_xlabel("x₁")
    axes.set_ylabel("x₂")
    set_legend(figure, axes, columns=2)


def landscape(axes: Axes, grid: Grid) -> None:
    """Draw the ranks of the discriminator's scores, dark for more real, and the directions of their gradients."""
    lattice, scores, gradients = (grid.landscape[name] for name in ("lattice", "scores", "gradients"))
    side = round(len(lattice) ** 0.5)

    def square(values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(side, side, *values.shape[1:])

    x, y = square(lattice)[:, 0, 0], square(lattice)[0, :, 1]
    ranks = scores.argsort().argsort() / len(scores)  # outliers would hide differences between other scores
    axes.contourf(x, y, square(ranks).T, levels=20, cmap="Blues", alpha=0.7)
    axes.add_patch(Rectangle((0, 0), 0, 0, color=matplotlib.colormaps["Blues"](0.7), label=DARKER))
    every = slice(ARROW_SPACING // 2, None, ARROW_SPACING)
    arrows = square(gradients)[every, every]
    length = numpy.linalg.norm(arrows, axis=2, keepdims=True)
    arrows = arrows / numpy.maximum(length, numpy.finfo(numpy.float32).tiny)
    axes.quiver(
        x[every], y[every], arrows[..., 0].T, arrows[..., 1].T, color="0.35", scale=28, width=0.003, label="gradient"
    )
