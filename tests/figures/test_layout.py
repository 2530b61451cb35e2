"""Every figure is legible, whatever a run has recorded: nothing covers the data, nothing leaves the canvas."""

from collections.abc import Callable
from itertools import combinations, pairwise
from math import inf, nan
from pathlib import Path

import numpy
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gans.config.build import build_figures
from gans.figures.files import FigureFolder
from gans.run.folder import RunFolder
from tests.configs import names, run_config
from tests.figures.folders import curves_of, digits, fake_run, image_samples, point_samples

METRICS = ("fid_200_digits1", "precision_200_digits1", "a_metric_of_my_own_with_a_very_long_name_indeed_50_digits1")
SHARES = tuple(f"class_share_{label}_200_digits1" for label in range(25))
ALL = f"stabilize=[{','.join(name for name in names('stabilize') if name not in ('none', 'wgan_gp', 'dragan'))}]"
TINY, HUGE = 1e-12, 1e200


def all_are(value: float) -> dict[str, dict[int, float]]:
    return {name: dict.fromkeys(curve, value) for name, curve in curves_of(10, metrics=METRICS).items()}


CASES: dict[str, Callable[[Path], RunFolder]] = {
    "usual": lambda path: fake_run(
        path, "model=acgan", curves=curves_of(400, 10, (*METRICS, *SHARES[:10])), samples=image_samples(),
        floors=dict.fromkeys(METRICS, 0.2),
    ),
    "nothing": fake_run,
    "one point": lambda path: fake_run(
        path, "data.classes=[3]", curves=curves_of(1), samples=image_samples(1, 1, (0,))
    ),
    "metrics alone": lambda path: fake_run(
        path, curves={"val/fid_9": {3: 1.0}}, samples=image_samples(), floors={"fid_9": nan}
    ),
    "a step of no epoch": lambda path: fake_run(path, curves={"train/generator_loss": {0: 1.0}}),
    "very many points": lambda path: fake_run(
        path, curves={f"train/{player}_loss": {step: step % 7 for step in range(1, 100_001)}
                      for player in ("generator", "discriminator")},
    ),
    "not a number": lambda path: fake_run(path, curves=all_are(nan), samples=image_samples()),
    "infinite": lambda path: fake_run(path, curves=all_are(inf), floors={METRICS[0]: inf}, samples=image_samples()),
    "some are infinite": lambda path: fake_run(
        path, curves={"train/generator_loss": {1: 1.0, 2: inf, 3: nan, 4: -inf, 5: 2.0}}
    ),
    "huge": lambda path: fake_run(path, curves=all_are(HUGE), samples=image_samples()),
    "tiny": lambda path: fake_run(
        path, curves=all_are(TINY), samples=image_samples(), floors=dict.fromkeys(METRICS, 1.0)
    ),
    "large": lambda path: fake_run(path, curves=all_are(-1.23456789e9), samples=image_samples()),
    "all stabilizers": lambda path: fake_run(
        path, ALL, curves=curves_of(50), samples=image_samples()
    ),
    "30 classes, pale": lambda path: fake_run(
        path, curves=curves_of(50, 1, (*METRICS, *SHARES)), samples=image_samples(30, 400, background=255)
    ),
    "colour": lambda path: fake_run(
        path, "model=stacked_small", curves=curves_of(50), samples=image_samples(1000, 7, channels=(3,))
    ),
    "no distances": lambda path: fake_run(
        path, samples={"neighbours": {"images": digits(3), "neighbours": digits(3), "distances": numpy.full(3, nan),
                                      "held_out_distances": numpy.zeros(3)},
                       "mode_count": {"counts": numpy.zeros(130, int)}},
    ),
    "ring": lambda path: fake_run(path, "model=mlp", curves=curves_of(50), samples=point_samples(2)),
    "many points": lambda path: fake_run(path, "model=mlp", ALL, samples=point_samples(2, count=9000)),
    "dirac": lambda path: fake_run(path, "model=dirac", samples=point_samples(1)),
    "one step of dirac": lambda path: fake_run(path, "model=dirac", samples=point_samples(1, (0,))),
}  # fmt: skip


class Recorder(FigureFolder):
    """Keeps the figures and saves nothing."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.figures: dict[str, Figure] = {}

    def save(self, name: str, figure: Figure) -> None:
        self.figures[name] = figure

    def save_film(self, name: str, frames: object, last: int = 10) -> None:
        pass


def parts(figure: Figure) -> dict[str, Artist]:
    """Titles, labels, notes and legends."""
    panels = [axes for axes in figure.axes if axes.get_visible()]
    scales = [*panels, *(child for axes in panels for child in axes.child_axes)]
    texts = [
        *figure.texts,
        *(axes.title for axes in panels),
        *(axis.label for axes in scales for axis in (axes.xaxis, axes.yaxis)),
        *(note for axes in panels for note in axes.texts if note.get_text() != "no finite value"),
    ]
    named = {f"{number} {text.get_text()!r}": text for number, text in enumerate(texts) if text.get_text()}
    return {**named, **{f"legend {number}": legend for number, legend in enumerate(figure.legends)}}


def labels_of(axes: Axes) -> list[list[Bbox]]:
    """The tick labels in view along each axis."""
    found = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        labels = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        found.append([label.get_window_extent() for label in labels if label.get_text() and label.get_visible()])
    return found


def assert_legible(figure: Figure) -> None:
    for _ in range(2):  # as it is saved
        figure.draw_without_rendering()
    canvas = figure.bbox.padded(1)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    areas = {f"panel {number}": axes.get_window_extent() for number, axes in enumerate(panels)}
    found = {name: part.get_window_extent() for name, part in parts(figure).items()}
    whole = {f"all of {name}": axes.get_tightbbox() for name, axes in zip(areas, panels, strict=True)}
    for name, box in (found | whole).items():
        assert box is not None
        inside = Bbox.intersection(canvas, box)
        assert inside is not None, name
        assert (inside.width, inside.height) == pytest.approx((box.width, box.height)), name
    for (first, one), (second, other) in combinations((found | areas).items(), 2):
        assert not one.padded(-1).overlaps(other.padded(-1)), f"{first} and {second}"
    for axes in panels:
        for labels in labels_of(axes):
            for one, other in pairwise(labels):
                assert not one.padded(-1).overlaps(other.padded(-1)), axes.get_title()


FAST = ("usual", "30 classes, pale")


@pytest.mark.parametrize("case", [pytest.param(case, marks=[] if case in FAST else pytest.mark.slow) for case in CASES])
@pytest.mark.slow
def test_nothing_covers_the_data_and_nothing_leaves_the_canvas(tmp_path: Path, case: str) -> None:
    run = CASES[case](tmp_path / "run")
    recorder = Recorder()
    for draw in build_figures(run_config()).values():
        draw(run, recorder)
    assert recorder.figures
    for name, figure in recorder.figures.items():
        assert_legible(figure)
        panels = [axes.get_window_extent() for axes in figure.axes if axes.get_visible() and axes.axison]
        sizes = [min(box.width, box.height) for box in panels if box.width > 40]  # a colour bar is narrow
        assert all(size > 100 for size in sizes), name
