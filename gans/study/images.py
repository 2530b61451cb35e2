"""The images of a study: the same latents at the same moments of training, as one picture per run."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image

from gans.run.folder import Grid, RunFolder

COLUMNS, ROWS = 5, 4
POINT_PIXELS = 96
FAR = 3
"""Points so many times as far out as those of usual runs are drawn at the edge."""
Pixels = NDArray[numpy.uint8]


@dataclass(frozen=True)
class Strip:
    """Grids of one run at several moments, one below the other."""

    grids: tuple[Grid, ...]
    extent: float
    """Pictures of points go from -extent to extent."""

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(grid.step for grid in self.grids)

    @property
    def shows_points(self) -> bool:
        return self.grids[0].images.ndim == 2

    @cached_property
    def pixels(self) -> Pixels:
        return numpy.concatenate([tile_of(grid, self.extent) for grid in self.grids])

    @cached_property
    def picture(self) -> str:
        """A PNG as data URL."""
        return png_url(self.pixels)


def strip_of(run: RunFolder, moments: int) -> Strip | None:
    """A run's grids at moments evenly spread over its training, only the last one if ``moments`` is 1; None if it has
    none."""
    grids = run.grids
    if not grids:
        return None
    targets = numpy.linspace(grids[-1].step, 0, min(moments, len(grids)))[::-1]
    steps = numpy.array([grid.step for grid in grids])
    nearest = numpy.unique([numpy.abs(steps - target).argmin() for target in targets])
    chosen = tuple(grids[place] for place in nearest)
    return Strip(chosen, max(largest(grid.images) for grid in chosen))


def on_one_scale(strips: Sequence[Strip]) -> list[Strip]:
    """Strips of points with the same extent: the largest, or a few times the usual one if some runs diverge."""
    extents = [strip.extent for strip in strips if strip.shows_points]
    shared = min(max(extents), FAR * median(extents)) if extents else 0.0
    return [replace(strip, extent=shared) if strip.shows_points else strip for strip in strips]


def largest(points: NDArray[Any]) -> float:
    """The largest size of a coordinate, of those that are finite."""
    sizes = numpy.abs(points[numpy.isfinite(points)])
    return float(sizes.max()) if sizes.size else 0.0


def tile_of(grid: Grid, extent: float) -> Pixels:
    """Some of a grid's images, evenly chosen, in rows; points as a picture of where they are."""
    if grid.images.ndim == 2:
        return picture_of_points(grid.images, extent)
    count = min(COLUMNS * ROWS, len(grid.images))
    chosen = grid.images[numpy.linspace(0, len(grid.images) - 1, count).round().astype(int)]
    blank = numpy.full((COLUMNS * -(-count // COLUMNS) - count, *chosen.shape[1:]), 128, numpy.uint8)
    images = _framed(numpy.concatenate((chosen, blank)))
    rows = images.reshape(-1, COLUMNS, *images.shape[1:])
    return numpy.concatenate([numpy.concatenate(list(row), axis=1) for row in rows])


def _framed(images: Pixels) -> Pixels:
    """Images with a grey line at the right and below, which no background has."""
    count, height, width, *channels = images.shape
    framed = numpy.full((count, height + 1, width + 1, *channels), 128, numpy.uint8)
    framed[:, :-1, :-1] = images
    return framed


def picture_of_points(points: NDArray[numpy.float32], extent: float) -> Pixels:
    """Dark dots on white; the first two dimensions, from -extent to extent, of points that are finite."""
    finite = points[numpy.isfinite(points).all(axis=1)]
    pair = numpy.zeros((len(finite), 2), numpy.float64)
    pair[:, : min(2, finite.shape[1])] = finite[:, :2]
    inside = numpy.clip((pair / max(extent, 1e-9) + 1) / 2, 0, 1)
    columns, rows = (inside * (POINT_PIXELS - 2)).astype(int).T
    picture = numpy.full((POINT_PIXELS, POINT_PIXELS), 255, numpy.uint8)
    for down in range(2):
        for right in range(2):
            picture[POINT_PIXELS - 1 - rows - down, columns + right] = 40
    return picture


def png_url(pixels: Pixels) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")  # smallest would take seven times as long for 3 % fewer bytes
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
