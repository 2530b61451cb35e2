"""Functions that several figures use."""

from pathlib import Path

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gans.run.folder import RunFolder

COLUMNS = 10
GAP = 2
FRAME_MS = 150
SPACE = 128
"""The grey of gaps, which is visible beside black and white backgrounds."""


def tile(images: NDArray[numpy.uint8], columns: int) -> NDArray[numpy.uint8]:
    """Arrange images (n, height, width), or with channels last, in rows of ``columns``, with grey gaps."""
    count, height, width, *channels = images.shape
    rows = -(-count // columns)
    sheet = numpy.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, *channels), SPACE, numpy.uint8)
    for index, image in enumerate(images):
        top, left = GAP + index // columns * (height + GAP), GAP + index % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def pad_row(images: NDArray[numpy.uint8], columns: int) -> NDArray[numpy.uint8]:
    """A row of images, padded with grey images to ``columns``."""
    missing = numpy.full((columns - len(images), *images.shape[1:]), SPACE, numpy.uint8)
    return numpy.concatenate((images, missing))


def picture(images: NDArray[numpy.uint8], columns: int, title: str, row_labels: list[str] | None = None) -> Figure:
    """Tiled images with a title and labels of the rows."""
    sheet = tile(images, columns)
    height, width = sheet.shape[:2]
    figure = Figure(figsize=(width / 50 + 0.8, height / 50 + 0.7), layout="constrained")
    axes = figure.subplots()
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    pitch = images.shape[1] + GAP
    labels = row_labels or []
    axes.set_yticks([GAP + row * pitch + images.shape[1] / 2 for row in range(len(labels))], labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def aligned_rows(kinds: dict[str, NDArray[numpy.uint8]], title: str) -> Figure:
    """Corresponding images of several kinds, with the same number of each, in rows above each other."""
    count = len(next(iter(kinds.values())))
    columns = min(COLUMNS, count)
    rows, labels = [], []
    for start in range(0, count, columns):
        for kind, images in kinds.items():
            rows.append(pad_row(images[start : start + columns], columns))
            labels.append(kind)
    return picture(numpy.concatenate(rows), columns, title, labels)


def label_time(axes: Axes, run: RunFolder) -> None:
    """Label the lower axis with epochs and the upper one with training steps."""
    longest = max(run.curves.values(), key=lambda curve: len(curve["step"]))
    steps_per_epoch = longest["step"][-1] / longest["epoch"][-1]
    axes.set_xlabel("epoch")
    above = axes.secondary_xaxis("top", (lambda epoch: epoch * steps_per_epoch, lambda step: step / steps_per_epoch))
    above.set_xlabel("training step")
    axes.grid(alpha=0.3)


def save_film(frames: list[Image.Image], path: Path) -> Path:
    """Save a GIF that shows its last frame longer."""
    durations = [FRAME_MS] * (len(frames) - 1) + [10 * FRAME_MS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return path


def save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
