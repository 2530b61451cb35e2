"""Fixed-noise grids: at the configured epochs and steps, at the end, and as a film."""

from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from gans.figures.files import FigureFolder, padded
from gans.figures.names import row_label, run_title
from gans.figures.sheets import film_frame, in_rows, picture
from gans.run.folder import Grid, RunFolder


def draw(run: RunFolder, folder: FigureFolder) -> None:
    """samples_epoch_<n>.png, samples_step_<n>.png, samples.png of the last step, and film.gif; for images only."""
    if not run.grids or run.grids[0].images.ndim == 2:
        return
    epochs, steps = (run.config["samples"][name] for name in ("epochs", "steps"))
    for grid in run.grids:
        if grid.step in steps:
            folder.save(f"samples_step_{padded(grid.step, max(steps), 5)}", sheet(run, grid))
        if grid.epoch in epochs:
            folder.save(f"samples_epoch_{padded(int(grid.epoch), max(epochs), 3)}", sheet(run, grid))
    folder.save("samples", sheet(run, run.grids[-1]))
    frames = [film_frame(rows_of(grid), f"epoch {grid.epoch:.1f}   step {grid.step:,}") for grid in run.grids]
    folder.save_film("film", frames)


def sheet(run: RunFolder, grid: Grid) -> Figure:
    title = f"{run_title(run.config)}\nepoch {grid.epoch:.4g}, training step {grid.step:,}"
    labels = grid.labels.tolist()
    return picture(rows_of(grid), title, [row_label(row, run.class_names) for row in in_rows(labels, labels)])


def rows_of(grid: Grid) -> list[NDArray[Any]]:
    return in_rows(grid.images, grid.labels.tolist())
