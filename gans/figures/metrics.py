"""Validation metrics over training, with their floors."""

from collections import defaultdict
from dataclasses import replace

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gans.figures.drawing import (
    BLUE,
    finite,
    label_time,
    mark_level,
    note_if_empty,
    plot_line,
    set_title,
    wrapped,
)
from gans.figures.files import FigureFolder
from gans.figures.names import class_name, metric_label, protocol, run_title
from gans.metrics.name import MetricName, of_class
from gans.run.folder import RunFolder

LOGARITHMIC = ("fid",)
WIDE = 10
"""The ratio of the largest value to the smallest from which on an axis is logarithmic."""


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """metrics.png: a panel for each metric that the run has evaluated, with its value for real training samples; one
    panel for a metric that has a value for each class."""
    panels = find_panels(run)
    if not panels:
        return
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.6 * columns + 0.6, 2.9 * rows + 0.6), layout="constrained")
    set_title(figure, run_title(run.config))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    samples = "points" if run.data_samples[0].ndim == 2 else "images"
    for axes, (name, curves) in zip(grid, panels, strict=False):
        if len(curves) > 1:
            draw_classes(run, axes, curves)
        else:
            draw_line(run, axes, name, curves[min(curves)])
        label = metric_label(name.figure)
        axes.set_title(wrapped(f"{label} ({protocol(name, samples)})", 5, 9), fontsize=9)
        axes.set_ylabel(wrapped("class" if len(curves) > 1 else label, 2, 9), fontsize=9)
        label_time(axes, run, epochs=False)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    folder.save("metrics", figure)


def find_panels(run: RunFolder) -> list[tuple[MetricName, dict[int, str]]]:
    """For each panel the metric, and its curve; of a metric with a value for each class, the curves by class."""
    panels: dict[tuple[MetricName, bool], dict[int, str]] = defaultdict(dict)
    for curve in run.curves:
        stage, _, full_name = curve.partition("/")
        name = MetricName.parse(full_name)
        if stage != "val" or name is None:
            continue
        found = of_class(name.figure)
        quantity, label = found or (name.figure, 0)
        panels[replace(name, figure=quantity), found is not None][label] = curve
    return [
        (name if len(curves) > 1 else _own_name(curves[min(curves)]), curves) for (name, _), curves in panels.items()
    ]


def _own_name(curve: str) -> MetricName:
    name = MetricName.parse(curve.removeprefix("val/"))
    assert name is not None
    return name


def draw_line(run: RunFolder, axes: Axes, name: MetricName, curve: str) -> None:
    values = run.curves[curve]["value"]
    plot_line(axes, run.curves[curve]["step"], values, marker="o", color=BLUE)
    note_if_empty(axes)
    shown = values[finite(values)].tolist()
    floor = run.floors.get(str(name))
    if floor is not None and numpy.isfinite(floor):
        mark_level(axes, floor, f"real\n{floor:.3g}")
        shown.append(floor)
    if name.figure in LOGARITHMIC and shown and min(shown) > 0 and max(shown) > WIDE * min(shown):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(shown) < WIDE**3 * min(shown) else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")


def draw_classes(run: RunFolder, axes: Axes, curves: dict[int, str]) -> None:
    """A map: the value of each class, from top to bottom, over training."""
    labels = sorted(curves)
    steps = numpy.unique(numpy.concatenate([run.curves[curve]["step"] for curve in curves.values()]))
    values = numpy.full((len(labels), len(steps)), numpy.nan)
    for row, label in enumerate(labels):
        curve = run.curves[curves[label]]
        values[row, numpy.searchsorted(steps, curve["step"])] = curve["value"]
    first, last = steps[0] - (steps[0] or 1) / 2, steps[-1]
    edges = numpy.concatenate(([first], (steps[1:] + steps[:-1]) / 2, [last]))
    mesh = axes.pcolormesh(edges, range(len(labels) + 1), numpy.ma.masked_where(~finite(values), values))
    axes.set_yticks(
        [row + 0.5 for row in range(len(labels))], [class_name(label, run.class_names) for label in labels], fontsize=7
    )
    axes.invert_yaxis()
    if finite(values).any():
        axes.figure.colorbar(mesh, ax=axes)
    else:
        note_if_empty(axes)
