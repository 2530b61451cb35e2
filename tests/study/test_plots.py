"""The figures of a study can be read whatever its arms are called."""

import math
import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gans.study.analyse import StudyResult, analyse
from gans.study.lines_of_text import in_lines, width_of
from gans.study.plots import ArmStyle, Curves, draw_all, draw_curves, draw_effects, draw_runs, inline, save
from tests.figures.test_layout import assert_legible
from tests.study.test_known_truth import definition, records_in

LABELS = ("label_smoothing", "noisy_labels", "label_smoothing+noisy_labels")
LONG = "discriminator_augmentation_with_a_long_name, generator_lr=0.0002"
CURVE = "val/fid_1000_digits1"


def result_of(folder: Path, arms: tuple[str, ...]) -> StudyResult:
    study = definition(arms={arm: [f"stabilize=s{n}"] for n, arm in enumerate(arms)}, baseline=arms[0], claims=[])
    return analyse(study, records_in(folder, study, range(2)))


def figures_of(result: StudyResult) -> dict[str, Figure]:
    steps, values = numpy.arange(5.0), numpy.ones((2, 5))
    curves: Curves = {CURVE: (steps, dict.fromkeys(result.definition.all_arms, values))}
    return draw_all(result, curves)


OTHERS = [("minibatch_deviation", *LABELS), ("r1", "r2"), (*"abcd", LONG)]


@pytest.mark.parametrize(
    "arms",
    [("none", *LABELS), *(pytest.param(arms, marks=pytest.mark.slow) for arms in [(LONG, "none"), *OTHERS])],
)
def test_names_fit(tmp_path: Path, arms: tuple[str, ...]) -> None:
    for name, figure in figures_of(result_of(tmp_path, arms)).items():
        if LONG in arms and name.startswith("runs"):
            assert_inside(figure)  # its names are turned
        else:
            assert_legible(figure)


def test_arms_can_be_told_apart() -> None:
    styles = [ArmStyle(place) for place in range(42)]
    for kind in ("marker", "sign", "dashes"):
        assert len({(style.colour, getattr(style, kind)) for style in styles}) == len(styles)


@pytest.mark.slow
def test_dollar_signs_in_names_make_no_formula(tmp_path: Path) -> None:
    arms = ("US$ 10", "CA$ 2", "a_$x_$")
    with matplotlib.rc_context({"text.usetex": True}):
        svgs = save(figures_of(result_of(tmp_path, arms)), tmp_path / "figures")
    for name, svg in svgs.items():
        assert sum(f">{arm}<" in svg for arm in arms) == (2 if name.startswith("effects") else 3)  # not the baseline


@pytest.mark.slow
def test_names_of_many_arms_fit(tmp_path: Path) -> None:
    for figure in figures_of(result_of(tmp_path, (LONG, *LABELS, *"abcd"))).values():
        assert_inside(figure)


@pytest.mark.parametrize(("others", "missing"), [((1.0, 2.0), 1), ((1.0, 100.0), 2)])
def test_runs_without_a_place_on_the_axis_are_counted(
    tmp_path: Path, others: tuple[float, float], missing: int
) -> None:
    """One lacks the figure, and one has 0, which a log axis can't show."""
    study = definition(arms={"a": [], "b": ["stabilize=ema"]}, baseline="a", claims=[], figures=["fid"])
    values = iter([0.0, others[0], math.nan, others[1]])
    records = [replace(record, figures={"fid": next(values)}) for record in records_in(tmp_path, study, range(2))]
    result = analyse(study, records)
    (axes,) = draw_runs(result, study.merits[0]).axes
    counts = [int(count) for count in re.findall(r"(\d) without", " ".join(map(str, axes.get_xticklabels())))]
    assert sum(counts) == missing


@pytest.mark.parametrize("matters", [1.01, 1.1, 1.2, 3.0])
def test_the_zone_that_does_not_matter_can_be_read_from_the_axis(tmp_path: Path, matters: float) -> None:
    study = definition(
        arms={"a": [], "b": ["stabilize=ema"]}, baseline="a", claims=[], figures=[{"name": "fid", "matters": matters}]
    )
    records = [replace(record, figures={"fid": 1.0}) for record in records_in(tmp_path, study, range(2))]
    (axes,) = draw_effects(analyse(study, records), study.merits[0]).axes
    low, high = axes.get_xlim()
    shown = [tick.get_text() for tick in axes.get_xticklabels() if low <= tick.get_position()[0] <= high]
    assert len({*shown}) == len(shown) >= 2


def test_curves_of_no_arm_are_drawn(tmp_path: Path) -> None:
    figure = draw_curves(result_of(tmp_path, ("a", "b")), CURVE, {CURVE: (numpy.arange(5.0), {})})
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_title()
    assert not axes.lines


def assert_inside(figure: Figure) -> None:
    """Nothing is cut off, and the names leave room for the data."""
    for _ in range(2):  # as it is saved
        figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_window_extent().height > 0.25 * figure.bbox.height
    texts = [text for text in (*figure.texts, axes.title) if text.get_text()]
    for box in (axes.get_tightbbox(), *(part.get_window_extent() for part in (*texts, *figure.legends))):
        assert box is not None
        inside = Bbox.intersection(figure.bbox.padded(1), box)
        assert inside is not None
        assert (inside.width, inside.height) == pytest.approx((box.width, box.height))


PLACE = st.floats(-1000, 1000).map(lambda value: round(value, 6))


@given(st.lists(st.tuples(PLACE, PLACE), min_size=2, max_size=50))
def test_a_page_keeps_places_and_styles(points: list[tuple[float, float]]) -> None:
    """Places to a tenth of a point; a style that many have, and the font, is written once."""
    text = "<text style=\"font-size: 9px; font-family: 'DejaVu Sans', sans-serif; fill: black\">0</text>"
    path = "M " + " \nL ".join(f"{x:f} {y:f}" for x, y in points)
    short = inline(f'<?xml?>\n<svg width="9pt">\n <g id="a">\n  <path d="{path} \n"/>\n </g>\n {text}\n {text}\n</svg>')
    found = re.search(r'<path d="M([^"]*)"/></g><text class="(\w+)">0', short)
    assert found
    places = [[float(number) for number in place.split()] for place in found[1].split("L")]
    assert numpy.abs(numpy.array(places) - points).max() < 0.1001
    assert f".{found[2]}{{font-size: 9px; fill: black}}" in short
    assert short.count("font-family: 'DejaVu Sans', sans-serif;") == short.count("9px") == 1


def test_a_name_is_no_part_of_a_pages_style() -> None:
    short = inline('<svg><text style="fill: red">a style="}body{display:none" x="1.23"</text></svg>')
    assert "}body{" not in re.sub("</style>.*", "", short)
    assert short.endswith(">a style=&quot;}body{display:none&quot; x=&quot;1.23&quot;</text></svg>")


@pytest.mark.parametrize("text", [LONG, LABELS[2], "label smoothing", "x" * 80])
def test_lines_are_as_wide_as_asked_and_lose_nothing(text: str) -> None:
    found = in_lines(text, 9, 60)
    assert width_of(found, 9) <= 60
    assert found.replace("\n", "").replace(" ", "") == text.replace(" ", "")
