"""Sheets of images."""

import base64
import io
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from gans.figures.files import FigureFolder, padded
from gans.figures.sheets import COLUMNS, GAP, in_rows, magnify, picture, tile


@given(st.integers(1, 12), st.integers(1, 5))
def test_tiles_stand_in_reading_order(count: int, columns: int) -> None:
    images = numpy.stack([numpy.full((3, 4), index, numpy.uint8) for index in range(count)])
    sheet = tile([images[start : start + columns] for start in range(0, count, columns)])
    for index in range(count):
        top, left = 1 + index // columns * (3 + GAP), 1 + index % columns * (4 + GAP)
        assert (sheet[top : top + 3, left : left + 4] == index).all()


@pytest.mark.parametrize("background", [0, 60, 110, 128, 200, 255])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_gaps_are_seen_beside_images_of_every_background(background: int, channels: tuple[int, ...]) -> None:
    sheet = tile([numpy.full((2, 5, 5, *channels), background, numpy.uint8)]).astype(int)
    between = sheet[3, 6 : 6 + GAP].reshape(GAP, -1)
    assert abs(between - background).max() > 50


@pytest.mark.parametrize("count", [1, 7, 10, 11, 100, 101, 400])
def test_every_pixel_is_a_square_of_the_same_size(count: int) -> None:
    rows = in_rows(numpy.random.default_rng(count).integers(0, 256, (count, 28, 28), numpy.uint8))
    assert sum(map(len, rows)) == count
    figure = picture(rows, "a title")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.axes[0].get_window_extent()
    shown = numpy.asarray(canvas.buffer_rgba())[..., 0]
    top, left = round(shown.shape[0] - box.y1), round(box.x0)
    sheet = magnify(tile(rows))
    assert (shown[top : top + sheet.shape[0], left : left + sheet.shape[1]] == sheet).all()


def test_a_long_name_leaves_room_for_the_images() -> None:
    rows = [numpy.zeros((10, 28, 28), numpy.uint8)]
    name = "a name that somebody has chosen for a class of photos"
    plain, long = (picture(rows, "a title", [label]) for label in ("8", name))
    assert long.get_figwidth() < 1.5 * plain.get_figwidth()
    assert long.texts[1].get_text()[:-1] in name


@pytest.mark.parametrize(("count", "classes"), [(100, 12), (64, 10), (100, 47), (24, 2), (100, 1), (100, 4), (400, 10)])
def test_no_row_has_two_classes_if_each_fills_half_a_row(count: int, classes: int) -> None:
    labels = [index * classes // count for index in range(count)]
    rows = in_rows(labels, labels)
    assert [label for row in rows for label in row] == labels
    columns = max(COLUMNS, math.isqrt(count))
    assert max(map(len, rows)) <= columns
    assert all(len({*row}) == 1 for row in rows) == (count // classes >= columns / 2)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("count", [7, 400])
def test_svg_and_pdf_hold_each_pixel_and_draw_it_sharp(tmp_path: Path, count: int, channels: tuple[int, ...]) -> None:
    images = numpy.random.default_rng(count).integers(0, 256, (count, 28, 28, *channels), numpy.uint8)
    sheet = magnify(tile(in_rows(images)))
    sheet = sheet if channels else sheet[..., None].repeat(3, 2)
    FigureFolder(tmp_path, ["svg", "pdf"]).save("sheet", picture(in_rows(images), "a title"))

    text = (tmp_path / "sheet.svg").read_text()
    (element,) = re.findall(r"<image [^>]*>", text)
    assert "image-rendering:pixelated" in element.replace(": ", ":")
    encoded = re.search(r"base64,([^\"]*)", element)
    assert encoded
    with Image.open(io.BytesIO(base64.b64decode(encoded[1]))) as held:
        assert numpy.array_equal(numpy.asarray(held.convert("RGB")), sheet)

    contents = (tmp_path / "sheet.pdf").read_bytes()
    height, width = sheet.shape[:2]
    assert re.findall(rb"/Width (\d+)\s*/Height (\d+)", contents) == [(b"%d" % width, b"%d" % height)]
    assert b"/Interpolate true" not in contents


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_padded_numbers_sort_as_numbers_do(largest: int, digits: int) -> None:
    numbers = sorted({0, 9, 10, largest // 2, largest})
    names = [padded(number, largest, digits) for number in numbers if number <= largest]
    assert all(first < second for first, second in pairwise(names))
