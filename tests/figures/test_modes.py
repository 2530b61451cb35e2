"""The map of many modes: which are reached, and which do not exist."""

import numpy
import pytest

from gans.figures.modes import draw_map


@pytest.mark.parametrize(("modes", "shape"), [(49, (1, 49)), (149, (2, 100))])
def test_a_mode_without_samples_is_told_from_one_that_does_not_exist(modes: int, shape: tuple[int, int]) -> None:
    counts = numpy.arange(modes)
    axes, _ = draw_map(counts).axes
    (image,) = axes.images
    cells = image.get_array()
    assert cells is not None
    assert cells.shape == shape
    colours = numpy.asarray(image.to_rgba(cells)).reshape(-1, 4)
    white = (colours == 1).all(1)
    assert white.nonzero()[0].tolist() == [0]
    assert len(numpy.unique(colours[modes:], axis=0)) == (modes < cells.size)
