"""Losses and accuracies of both players."""

from typing import Any

from matplotlib.figure import Figure

from gans.figures.drawing import (
    BLUE,
    VERMILLION,
    label_time,
    mark_level,
    note_if_empty,
    plot_line,
    set_legend,
    set_title,
)
from gans.figures.files import FigureFolder
from gans.figures.names import class_names, run_title
from gans.run.folder import RunFolder

PLAYERS = {"discriminator": (BLUE, "o"), "generator": (VERMILLION, "s")}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "train": ("training steps", {"alpha": 0.4, "linewidth": 0.7}),
    "epoch": ("mean of each epoch", {"linewidth": 1.8}),
    "val": ("held-out samples", {"linewidth": 1.3, "linestyle": "--", "markerfacecolor": "white"}),
}
LABELS = {"loss": "loss", "accuracy": "accuracy (real or fake)", "class_accuracy": "accuracy (class)"}


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """losses.png, and accuracy.png with a panel per output of the discriminator."""
    recorded = {name.partition("/")[2].partition("_")[2] for name in run.curves}
    chances = {"loss": None, "accuracy": 1 / 2}
    if "class_accuracy" in recorded:
        chances["class_accuracy"] = 1 / len(class_names(run.config, int(run.data_samples[1].max()) + 1))
    for name, quantities in (("losses", ["loss"]), ("accuracy", ["accuracy", "class_accuracy"])):
        if drawn := {quantity: chances[quantity] for quantity in quantities if quantity in recorded}:
            folder.save(name, panels(run, drawn))


def panels(run: RunFolder, chances: dict[str, float | None]) -> Figure:
    """A panel for each quantity, with the curves of both players; a line at the quantity's value by chance."""
    figure = Figure(figsize=(8, 3.4 * len(chances) + 0.8), layout="constrained")
    set_title(figure, run_title(run.config))
    column = figure.subplots(len(chances), squeeze=False)[:, 0]
    for number, (axes, (quantity, chance)) in enumerate(zip(column, chances.items(), strict=True)):
        for player, (color, marker) in PLAYERS.items():
            for stage, (label, style) in STAGES.items():
                curve = run.curves.get(f"{stage}/{player}_{quantity}")
                if curve is not None:
                    plot_line(
                        axes,
                        curve["step"],
                        curve["value"],
                        None if stage == "train" else marker,
                        color=color,
                        label=f"{player}, {label}",
                        **style,
                    )
        axes.set_ylabel(LABELS[quantity])
        label_time(axes, run, epochs=number == 0)
        note_if_empty(axes)
        if chance is not None:
            axes.set_ylim(-0.03, 1.03)
            mark_level(axes, chance, f"chance\n{chance:.3g}")
    set_legend(figure, column[0], columns=2)
    return figure
