"""Validation metrics over training, with their floors."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gans.figures.drawing import label_time, save
from gans.run.folder import RunFolder

PANELS = {
    "FID": ("fid",),
    "precision, recall": ("precision", "recall"),
    "KL(generated classes || real), nats": ("class_kl",),
    "modes reached": ("modes",),
    "KL(modes || equal shares), nats": ("mode_kl",),
    "share of high quality": ("high_quality",),
    "share with the requested class": ("class_agreement",),
    "share with the input's class": ("class_kept",),
    "mean squared error": ("mse",),
    "structural similarity": ("ssim",),
}
LOGARITHMIC = ("FID",)


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """metrics.png: a panel per metric that the run has evaluated; dashed lines for real training samples."""
    evaluated = {quantity: [run.validation_name(metric) for metric in metrics] for quantity, metrics in PANELS.items()}
    shown = {quantity: [name for name in names if name] for quantity, names in evaluated.items() if any(names)}
    if not shown:
        return []
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(12, 3.2 * rows + 0.4), layout="constrained")
    figure.suptitle(run.name, fontsize=10)
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, (quantity, names) in zip(grid, shown.items(), strict=False):
        panel(run, axes, quantity, names)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    return [save(figure, folder / "metrics.png")]


def panel(run: RunFolder, axes: Axes, quantity: str, names: list[str]) -> None:
    for name, color in zip(names, ("tab:blue", "tab:orange"), strict=False):
        curve, figure = run.curves[name], name.removeprefix("val/")
        axes.plot(curve["epoch"], curve["value"], marker="o", markersize=3, color=color, label=figure)
        if figure in run.floors:
            floor = run.floors[figure]
            label = f"real training samples: {floor:.3g}"
            axes.axhline(floor, color=color, linestyle="--", linewidth=1, label=label)
    axes.set_ylabel(quantity)
    if quantity in LOGARITHMIC:
        axes.set_yscale("log")
    label_time(axes, run)
    axes.legend(fontsize=8)
