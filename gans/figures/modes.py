"""Numbers of generated samples of each mode, in the final test."""

from pathlib import Path

import numpy
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gans.figures.drawing import save
from gans.run.folder import RunFolder

BARS, TICKS = 25, 12
COLUMNS = 100


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """modes.png: a bar per mode; a map with 100 modes per row if there are more than 25."""
    if run.mode_counts is None:
        return []
    counts = run.mode_counts["counts"]
    figure = (draw_bars if len(counts) <= BARS else draw_map)(counts)
    reached = numpy.count_nonzero(counts)
    title = f"{run.name}\n{reached:,} of {len(counts):,} modes reached, by {counts.sum():,} samples"
    figure.suptitle(title, fontsize=10)
    return [save(figure, folder / "modes.png")]


def draw_bars(counts: NDArray[numpy.int64]) -> Figure:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(counts)), counts)
    axes.axhline(counts.mean(), color="black", linestyle="--", linewidth=1, label="equal shares")
    axes.set_xticks(range(0, len(counts), 1 if len(counts) <= TICKS else 5))
    axes.set_xlabel("mode")
    axes.set_ylabel("samples")
    axes.legend(fontsize=8)
    return figure


def draw_map(counts: NDArray[numpy.int64]) -> Figure:
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        numpy.ma.masked_equal(counts, 0).reshape(-1, COLUMNS),
        aspect="auto",
        norm=LogNorm(vmin=1, vmax=max(2, counts.max())),
        interpolation="nearest",
    )
    axes.set_facecolor("white")
    axes.set_xlabel("mode, its last two digits")
    axes.set_ylabel("hundreds")
    axes.set_yticks(range(len(counts) // COLUMNS))
    figure.colorbar(image, label="samples (white: none)")
    return figure
