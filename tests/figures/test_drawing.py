"""Sheets of images."""

import numpy
from hypothesis import given
from hypothesis import strategies as st

from gans.figures.drawing import GAP, SPACE, tile


@given(st.integers(1, 12), st.integers(1, 5))
def test_tiles_stand_in_reading_order_with_grey_between(count: int, columns: int) -> None:
    images = numpy.stack([numpy.full((3, 4), index, numpy.uint8) for index in range(count)])
    sheet = tile(images, columns)
    for index in range(count):
        top, left = GAP + index // columns * (3 + GAP), GAP + index % columns * (4 + GAP)
        assert (sheet[top : top + 3, left : left + 4] == index).all()
        assert (sheet[top - GAP : top, left : left + 4] == SPACE).all()
