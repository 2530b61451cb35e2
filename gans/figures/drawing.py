"""What figures with axes share: colours, titles, legends and the axis of time."""

import textwrap
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from gans.run.folder import RunFolder

BLUE, VERMILLION, YELLOW, BLACK = "#0072B2", "#D55E00", "#E69F00", "#000000"
"""Colours that the colour-blind tell apart (Okabe and Ito 2008)."""
MANY = 2000
"""Lines and clouds of more points than this are pixels in SVG and PDF too, which keeps these files small."""
MARKERS = 15
"""A line has about so many markers at most."""
LINE = 0.17
"""The height of a line of a title, in inches."""
LARGEST = 1e30
"""Larger values are not drawn: axes can't hold them."""

Values = NDArray[numpy.float64]


def wrapped(text: str, inches: float, points: float) -> str:
    """Text in lines that fit a width."""
    letters = max(10, int(inches * 72 / (0.58 * points)))  # a letter is 0.58 of its size wide, or less on average
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


def set_title(figure: Figure, *lines: str) -> None:
    """A title above all panels. The figure grows by a line's height for each line after the first."""
    text = wrapped("\n".join(lines), 0.95 * figure.get_figwidth(), 10)
    figure.set_figheight(figure.get_figheight() + LINE * text.count("\n"))
    figure.suptitle(text, fontsize=10)


def set_legend(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """One legend, below all panels, with the entries of these axes."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def finite(values: Values) -> NDArray[numpy.bool_]:
    """Which values can be drawn."""
    return numpy.isfinite(values) & (numpy.abs(values) < LARGEST)


def plot_line(axes: Axes, steps: Values, values: Values, marker: str | None = None, **style: Any) -> None:
    """A line through the finite values, with a few markers; a single point is always marked."""
    values = numpy.where(finite(values), values, numpy.nan)
    lone = numpy.isfinite(values).sum() == 1
    axes.plot(
        steps,
        values,
        marker="o" if lone and marker is None else marker,
        markersize=4,
        markevery=None if lone else max(1, len(values) // MARKERS),
        rasterized=len(values) > MANY,
        **style,
    )
    axes.grid(alpha=0.3)


def note_if_empty(axes: Axes) -> None:
    """Say so where no line has a value to show."""
    if not any(numpy.isfinite(line.get_ydata()).any() for line in axes.lines):
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", va="center", color="0.4")


def mark_level(axes: Axes, level: float, label: str) -> None:
    """A dashed line across the panel, with its label at its right end, outside the panel."""
    axes.axhline(level, color=BLACK, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
    right = axes.get_yaxis_transform()
    axes.annotate(
        label, (1, level), (4, 0), right, "offset points", va="center", fontsize=7, annotation_clip=False, color="0.2"
    )


def label_time(axes: Axes, run: RunFolder, *, epochs: bool = True) -> None:
    """Training steps on the lower axis, from 0 to the run's last, and epochs on a second scale above."""
    last = max(run.last_step, 1)
    axes.set_xlim(-0.02 * last, 1.02 * last)
    axes.set_xlabel("training step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    epoch = max(float(curve["epoch"][-1]) for curve in run.curves.values())
    if epochs and epoch > 0:
        per_step = epoch / last
        above = axes.secondary_xaxis(
            "top", (lambda step: numpy.multiply(step, per_step), lambda epoch: numpy.divide(epoch, per_step))
        )
        above.set_xlabel("epoch")
        above.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
