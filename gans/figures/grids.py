"""Fixed-noise grids: at the configured epochs and steps, at the end, and as a film."""

from pathlib import Path

import numpy
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from gans.figures.drawing import COLUMNS, picture, save, save_film, tile
from gans.run.folder import Grid, RunFolder

CAPTION_HEIGHT = 16


def draw(run: RunFolder, folder: Path) -> list[Path]:
    """samples_epoch_<n>.png, samples_step_<n>.png, samples.png of the last step, and film.gif; for images only."""
    if not run.grids or run.grids[0].images.ndim == 2:
        return []
    named = {step: f"samples_step_{step:05d}.png" for step in run.config["samples"]["steps"]}
    epochs = set(run.config["samples"]["epochs"])
    files = []
    for grid in run.grids:
        name = named.get(grid.step) or (f"samples_epoch_{grid.epoch:03.0f}.png" if grid.epoch in epochs else None)
        if name:
            files.append(save(sheet(run, grid), folder / name))
    return [*files, save(sheet(run, run.grids[-1]), folder / "samples.png"), film(run, folder / "film.gif")]


def sheet(run: RunFolder, grid: Grid) -> Figure:
    title = f"{run.name}\nepoch {grid.epoch:.4g}, training step {grid.step:,}"
    return picture(grid.images, COLUMNS, title, row_labels(grid, run.class_names))


def row_labels(grid: Grid, names: dict[int, str]) -> list[str]:
    """The classes of each row; empty if there are none, or more than two in a row."""
    rows = [list(dict.fromkeys(grid.labels[i : i + COLUMNS].tolist())) for i in range(0, len(grid.labels), COLUMNS)]
    if any(len(row) > 2 or -1 in row for row in rows):
        return []
    return [" ".join(names.get(label, str(label)) for label in row) for row in rows]


def film(run: RunFolder, path: Path) -> Path:
    """One frame per recorded grid, with epoch and step as its caption."""
    frames = []
    for grid in run.grids:
        pixels = tile(grid.images, COLUMNS)
        caption = numpy.full((CAPTION_HEIGHT, *pixels.shape[1:]), 255, numpy.uint8)
        frame = Image.fromarray(numpy.concatenate((caption, pixels)))
        ImageDraw.Draw(frame).text((4, 2), f"epoch {grid.epoch:.1f}   step {grid.step:,}", fill="black")
        frames.append(frame)
    return save_film(frames, path)
