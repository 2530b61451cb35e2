"""The trajectory of the Dirac-GAN's two weights."""

from itertools import pairwise

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gans.figures.drawing import BLACK, MANY, VERMILLION, YELLOW, set_legend, set_title
from gans.figures.files import FigureFolder
from gans.figures.names import run_title
from gans.run.folder import RunFolder


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """trajectory.png: the samples' position and the discriminator's slope; for 1-D points only."""
    if not run.grids or run.grids[0].images.shape[1:] != (1,):
        return
    theta = numpy.array([grid.images.mean() for grid in run.grids])
    psi = numpy.array([grid.landscape["gradients"].mean() for grid in run.grids])
    every_step = all(later.step - earlier.step == 1 for earlier, later in pairwise(run.grids))
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    set_title(figure, run_title(run.config), f"{run.grids[-1].step:,} training steps, from light to dark")
    axes = figure.subplots()
    walk(axes, theta, psi, connect=every_step)
    set_legend(figure, axes)
    folder.save("trajectory", figure)


def walk(axes: Axes, theta: NDArray[numpy.float64], psi: NDArray[numpy.float64], *, connect: bool = True) -> None:
    """Draw the weights (n,) from light to dark. Lines between points that are many steps apart mislead."""
    steps = numpy.arange(len(theta))
    if connect:
        axes.plot(theta, psi, linewidth=0.6, color="0.6", zorder=1)
    axes.scatter(theta, psi, c=steps, s=8, cmap="viridis_r", zorder=2, rasterized=len(theta) > MANY)
    axes.scatter(theta[:1], psi[:1], marker="s", s=36, color=YELLOW, label="start", zorder=3)
    axes.scatter(theta[-1:], psi[-1:], marker="o", s=36, color=VERMILLION, label="end", zorder=3)
    axes.scatter([0], [0], marker="+", s=80, color=BLACK, label="equilibrium", zorder=4)
    axes.set_xlabel("θ, the position of the generator's samples")
    axes.set_ylabel("the slope of the discriminator's score, higher for more real")  # -ψ where reals score low
    axes.axis("equal")
    axes.grid(alpha=0.3)
