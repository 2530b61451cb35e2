"""Numbers of generated samples of each mode, in the final test."""

from collections.abc import Sequence

import numpy
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gans.figures.drawing import BLUE, mark_level, set_title
from gans.figures.files import FigureFolder
from gans.figures.names import class_names, run_title
from gans.figures.sheets import shortened
from gans.run.folder import RunFolder

BARS = 40
TICKS = 20
COLUMNS = 100


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """modes.png: a bar per mode; a map with 100 modes per row if there are more than 40."""
    if run.mode_counts is None:
        return
    counts = run.mode_counts["counts"]
    names = class_names(run.config, len(counts), run.class_names)[: len(counts)]
    figure = draw_bars(counts, names) if len(counts) <= BARS else draw_map(counts)
    reached = f"{numpy.count_nonzero(counts):,} of {len(counts):,} modes reached, by {counts.sum():,} samples"
    set_title(figure, run_title(run.config), reached)
    folder.save("modes", figure)


def draw_bars(counts: NDArray[numpy.int64], names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(counts)), counts, color=BLUE)
    mark_level(axes, float(counts.mean()), f"equal\nshares\n{counts.mean():,.4g}")
    every = -(-len(counts) // TICKS)
    shown = [shortened(name) for name in names[::every]]
    widest = max(map(len, shown))
    long = widest * len(shown) > TICKS * 2
    if long:
        figure.set_figheight(3.4 + 0.06 * widest)
    axes.set_xticks(range(0, len(counts), every), shown, rotation=90 if long else 0)
    axes.set_ylim(bottom=0, top=None if counts.any() else 1)
    axes.set_xlabel("mode")
    axes.set_ylabel("samples")
    return figure


def draw_map(counts: NDArray[numpy.int64]) -> Figure:
    columns = min(COLUMNS, len(counts))
    rows = -(-len(counts) // columns)
    cells = numpy.full(rows * columns, numpy.nan)  # beyond the last mode
    cells[: len(counts)] = numpy.where(counts, counts, 0.5)  # logarithms have no place for 0
    figure = Figure(figsize=(11, 2.2 + 0.08 * max(rows, 5)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        cells.reshape(rows, columns),
        aspect="auto",
        cmap=colormaps["viridis"].with_extremes(under="white", bad="silver"),
        norm=LogNorm(vmin=1, vmax=max(2, counts.max())),
        interpolation="nearest",
    )
    axes.set_xlabel("mode, its last two digits")
    axes.set_ylabel("hundreds")
    axes.set_yticks(range(0, rows, -(-rows // 10)))
    beyond = ";\ngrey: no such mode" if cells.size > len(counts) else ""
    figure.colorbar(image, label=f"samples\n(white: none{beyond})")
    return figure
