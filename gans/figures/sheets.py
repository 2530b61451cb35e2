"""Sheets of images: every pixel a square of a whole number of the figure's pixels, every image in a thin frame."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, sqrt
from typing import Any, TypeVar

import numpy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gans.figures.drawing import wrapped
from gans.figures.files import DPI

COLUMNS = 10
GAP = 3
"""A line of frame, of page and of frame: visible beside black, white, grey and coloured images."""
FRAME, PAGE = 110, 255
SIDE = 640
"""The width that a sheet is scaled to at most, in the figure's pixels, if its images are smaller."""
MARGIN = 8
LEAST_WIDTH = 500
"""In the figure's pixels, as is the margin: the title needs it."""
TITLE, LABEL = 10, 9
"""Sizes of text."""
LONGEST_LABEL = 24
"""In characters; of longer ones, such as a photo's full name, the start is shown."""
CAPTION, FILM_WIDTH = 16, 300
"""The height of a film's caption and the least width of a film, in pixels."""

Images = NDArray[numpy.uint8]
Many = TypeVar("Many", NDArray[Any], list[int])


def shortened(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def in_rows(images: Many, labels: Sequence[int] = ()) -> list[Many]:
    """Images, or what belongs to each, as rows of ten; of more than a hundred about as many rows as columns.

    Args:
        labels: of the images. If they are in order, and each class fills at least half a row, no row has two classes.
    """
    columns = max(COLUMNS, ceil(sqrt(len(images))))
    ends: list[int] = [index for index in range(1, len(labels)) if labels[index] != labels[index - 1]]
    parts = [images[start:end] for start, end in pairwise((0, *ends, len(images)))]
    if len(parts) > len({*labels}) or any(2 * len(part) < columns for part in parts):
        parts = [images]
    return [part[start : start + columns] for part in parts for start in range(0, len(part), columns)]


def tile(rows: Sequence[Images]) -> Images:
    """Arrange rows of images (n, height, width), or with channels last, each image in a thin frame on a white page."""
    height, width, *channels = rows[0].shape[1:]
    columns = max(map(len, rows))
    size = (len(rows) * (height + GAP) + 1, columns * (width + GAP) + 1)
    sheet = numpy.full((*size, *channels), PAGE, numpy.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = 1 + row * (height + GAP), 1 + column * (width + GAP)
            sheet[top - 1 : top + height + 1, left - 1 : left + width + 1] = FRAME
            sheet[top : top + height, left : left + width] = image
    return sheet


def magnify(sheet: Images, width: int = SIDE) -> Images:
    """The sheet with every pixel a square of the same whole number of pixels: at most 8, and about the width."""
    factor = min(8, max(1, width // sheet.shape[1]))
    return sheet.repeat(factor, 0).repeat(factor, 1)


def picture(rows: Sequence[Images], title: str, labels: Sequence[str] = ()) -> Figure:
    """Rows of images with a title, and a label at the left of each row."""
    labels = [shortened(text) for text in labels]
    pitch = rows[0].shape[1] + GAP
    sheet = magnify(tile(rows))
    factor = sheet.shape[0] // (len(rows) * pitch + 1)
    height, width = sheet.shape[:2]
    figure = Figure(dpi=DPI)
    renderer = FigureCanvasAgg(figure).get_renderer()

    def size(text: str, points: int) -> tuple[int, int]:
        box = Text(text=text, fontsize=points, figure=figure).get_window_extent(renderer)
        return ceil(box.width), ceil(box.height)

    left = max((size(label, LABEL)[0] for label in labels), default=0) + 2 * MARGIN
    whole = max(left + width + MARGIN, LEAST_WIDTH)
    title = wrapped(title, (whole - 2 * MARGIN) / DPI, TITLE)
    top = size(title, TITLE)[1] + 2 * MARGIN
    left += (whole - left - width - MARGIN) // 2
    tall = top + height + MARGIN
    figure.set_size_inches(whole / DPI, tall / DPI)
    axes = figure.add_axes((left / whole, MARGIN / tall, width / whole, height / tall))
    colours = sheet if sheet.ndim == 3 else sheet[..., None].repeat(3, 2)  # a colour map would change some greys by 1
    axes.imshow(colours, interpolation="none", aspect="auto")  # SVG and PDF hold these pixels, and are drawn sharp
    axes.set_axis_off()
    figure.text(0.5, 1 - MARGIN / tall, title, fontsize=TITLE, ha="center", va="top")
    for row, label in enumerate(labels):
        middle = MARGIN + height - factor * (row * pitch + 1 + (pitch - GAP) / 2)
        figure.text((left - MARGIN) / whole, middle / tall, label, fontsize=LABEL, ha="right", va="center")
    return figure


def aligned_rows(kinds: dict[str, Images], title: str) -> Figure:
    """Corresponding images of several kinds, with the same number of each, in rows above each other."""
    of_kinds = {kind: in_rows(images) for kind, images in kinds.items()}
    rows = [row for together in zip(*of_kinds.values(), strict=True) for row in together]
    return picture(rows, title, list(kinds) * (len(rows) // len(kinds)))


def film_frame(rows: Sequence[Images], caption: str) -> Image.Image:
    """A frame of a film, with its caption above the sheet."""
    sheet = magnify(tile(rows), FILM_WIDTH)
    margins = [(CAPTION, 0), (0, max(0, FILM_WIDTH - sheet.shape[1])), *[(0, 0)] * (sheet.ndim - 2)]
    frame = Image.fromarray(numpy.pad(sheet, margins, constant_values=PAGE))
    ImageDraw.Draw(frame).text((4, 2), caption, fill="black")
    return frame
