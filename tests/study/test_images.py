"""The moments of training of which a page shows images."""

from pathlib import Path
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray

from gans.files import write_arrays
from gans.run.folder import Grid, RunFolder
from gans.study.images import POINT_PIXELS, on_one_scale, strip_of
from tests.configs import composed
from tests.study.synthetic import STEPS, figures_of, write_run


@pytest.mark.parametrize(("moments", "shown"), [(1, [1]), (2, [0, 1]), (3, [0, 0.5, 1]), (5, [0, 0.25, 0.5, 0.75, 1])])
def test_moments_are_evenly_spread_and_one_is_the_end(tmp_path: Path, moments: int, shown: list[float]) -> None:
    config = composed("data=digits") | {"seed": 0}
    run = write_run(tmp_path / "run", config, figures_of("better", 0), moments=5)
    strip = strip_of(run, moments)
    assert strip is not None
    assert strip.steps == tuple(int(share * STEPS) for share in shown)


def grid_of(images: NDArray[Any], step: int) -> Grid:
    return Grid(step, step / 100, images, numpy.zeros(len(images), numpy.int64), {})


def run_of(folder: Path, *grids: Grid) -> RunFolder:
    folder.mkdir()
    run = RunFolder.create(folder, {})
    for grid in grids:
        write_arrays(run.grid_file(grid.step), images=grid.images, labels=grid.labels, step=grid.step, epoch=grid.epoch)
    return run


def test_no_moment_is_shown_twice(tmp_path: Path) -> None:
    images = numpy.zeros((4, 8, 8), numpy.uint8)
    run = run_of(tmp_path / "run", *(grid_of(images, step) for step in (0, 1, 2, 3, 100)))
    strip = strip_of(run, 4)
    assert strip is not None
    assert strip.steps == (0, 3, 100)


def test_points_of_all_runs_have_one_scale(tmp_path: Path) -> None:
    """Which a run that diverges does not decide."""
    cross = numpy.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], numpy.float32)
    sizes = (1.0, 2.0, 1.5, 1e9)
    strips = [strip_of(run_of(tmp_path / str(size), grid_of(size * cross, 0)), 1) for size in sizes]
    shown = on_one_scale([strip for strip in strips if strip])
    widths = [numpy.ptp((strip.pixels < 255).nonzero()[1]) for strip in shown]
    assert widths[1] / widths[0] == pytest.approx(2, abs=0.2)
    assert widths[2] / widths[0] == pytest.approx(1.5, abs=0.2)
    assert widths[3] == POINT_PIXELS - 1
    assert widths[0] > POINT_PIXELS / 8
