"""Losses and accuracies of both players."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gans.figures.drawing import label_time, save
from gans.run.folder import RunFolder

COLORS = {"discriminator": "tab:blue", "generator": "tab:orange"}
ACCURACIES = {"accuracy": "accuracy (real or fake)", "class_accuracy": "accuracy (class)"}


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """losses.png, and accuracy.png with a panel per output of the discriminator."""
    if not run.curves:
        return []
    recorded = {name.partition("/")[2] for name in run.curves}
    accuracies = {name: label for name, label in ACCURACIES.items() if f"discriminator_{name}" in recorded}
    return [
        save(panels(run, {"loss": "loss"}), folder / "losses.png"),
        save(panels(run, accuracies), folder / "accuracy.png"),
    ]


def panels(run: RunFolder, quantities: dict[str, str]) -> Figure:
    """A panel per quantity, for both players: training steps (thin), epochs, held-out images (dashed)."""
    figure = Figure(figsize=(8, 4 * len(quantities)), layout="constrained")
    figure.suptitle(run.name, fontsize=10)
    for axes, (quantity, label) in zip(
        figure.subplots(len(quantities), squeeze=False)[:, 0], quantities.items(), strict=True
    ):
        for player, color in COLORS.items():
            styles: dict[str, dict[str, Any]] = {
                "train": {"alpha": 0.35, "linewidth": 0.7, "label": f"{player}, training steps"},
                "epoch": {"linewidth": 2, "label": f"{player}, mean of each epoch"},
                "val": {"linewidth": 1.5, "linestyle": "--", "label": f"{player}, held-out images"},
            }
            for stage, style in styles.items():
                curve = run.curves.get(f"{stage}/{player}_{quantity}")
                if curve is not None:
                    marker = "o" if len(curve["epoch"]) == 1 else None
                    axes.plot(curve["epoch"], curve["value"], color=color, marker=marker, markersize=4, **style)
        axes.set_ylabel(label)
        if "accuracy" in quantity:
            axes.set_ylim(-0.02, 1.02)
            axes.axhline(0.5, color="black", linewidth=0.6)
        label_time(axes, run)
        axes.legend(fontsize=8)
    return figure
