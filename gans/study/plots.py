"""The figures of a study, each as SVG and PDF for a thesis, and as SVG for the page."""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import matplotlib
import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from gans.figures.files import STYLE, in_style
from gans.files import file_name, replacing, write_text
from gans.metrics.name import MetricName
from gans.study.analyse import StudyResult
from gans.study.figures_of_merit import FigureOfMerit
from gans.study.known_figures import known
from gans.study.lines_of_text import in_lines, in_two_lines, parts_of, width_of

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's colours, which the colour-blind tell apart."""
MARKERS = "osD^vP*"
SIGNS = "●■◆▲▼✚★"
"""The markers as characters."""
DASHES = ((), (8, 3), (3, 3), (8, 3, 3, 3), (1, 3), (14, 3, 3, 3, 3, 3))
"""Of the median's lines: points that are drawn and left out; another one each time that the colours begin again."""
THICK = 2
"""The width of a median's line, in points."""
MANY_ARMS = 6
FEW_POINTS = 20
"""A curve with no more points shows them."""
INK = "#010203"
"""The colour of text and axes: black to a reader, and found again where a page's theme decides."""
WIDTH = 4.4
ROOM = 72 * WIDTH - 12
"""How wide a text of a figure may be, in points."""
BESIDE_NAME = 44
"""Points that a legend needs beside a name."""
TITLE, LABEL, TICK, KEY = 11, 10, 9, 8
"""Sizes of text, in points."""
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

Curves = dict[str, tuple[NDArray[numpy.float64], dict[str, NDArray[numpy.float64]]]]
"""Name of a curve -> steps (n,), and for each arm its values (seeds, n), NaN where a run has none."""


@dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn: another colour, or another marker and other dashes, than every other of up to 42 arms."""

    place: int
    """Among the study's arms, from 0."""

    @property
    def colour(self) -> str:
        return COLOURS[self.place % len(COLOURS)]

    @property
    def marker(self) -> str:
        return MARKERS[self._sign]

    @property
    def sign(self) -> str:
        return SIGNS[self._sign]

    @property
    def dashes(self) -> tuple[int, ...]:
        return DASHES[self.place // len(COLOURS) % len(DASHES)]

    @property
    def _sign(self) -> int:
        return (self.place + self.place // len(COLOURS)) % len(MARKERS)


def style_of(result: StudyResult, arm: str) -> ArmStyle:
    return ArmStyle(list(result.definition.all_arms).index(arm))


def draw_effects(result: StudyResult, merit: FigureOfMerit) -> Figure:
    """Each arm's mean difference from the baseline and its confidence sequence; shaded: what does not matter."""
    arms = list(result.comparisons)
    names = [in_lines(arm, TICK, 0.4 * ROOM) for arm in arms]
    row_height = max(0.42, 0.17 * max((name.count("\n") + 1 for name in names), default=1))
    label = _label(result, merit)
    figure, axes = _figure(row_height * len(arms) + 0.98 + 0.17 * (label.count("\n") + 1))
    shown = merit.shown
    axes.axvspan(shown(-merit.zone), shown(merit.zone), color="#808080", alpha=0.2, lw=0)
    axes.axvline(shown(0), color=INK, lw=0.8)
    finite = [shown(-2 * merit.zone), shown(2 * merit.zone)]
    for row, arm in enumerate(arms):
        comparison = result.comparisons[arm][merit.name]
        if not comparison.seeds:
            continue
        style, middle = style_of(result, arm), shown(comparison.mean)
        ends = [shown(comparison.interval.low), shown(comparison.interval.high)]
        finite += [middle, *(end for end in ends if math.isfinite(comparison.interval.low))]
        axes.plot(ends, [row, row], color=style.colour, lw=2, solid_capstyle="butt", gid=f"interval-{row}")
        axes.plot([middle], [row], style.marker, color=style.colour, ms=7)
    if merit.scale == "ratio":
        axes.set_xscale("log")
        span = max(finite) / min(finite)
        of_decades = LogLocator(subs=ticks_of_decade(span), numticks=12)
        axes.xaxis.set_major_locator(of_decades if span > 2 else MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"× {value:.3g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        low, high = min(finite), max(finite)
        axes.set_xlim(low / (high / low) ** 0.08, high * (high / low) ** 0.08)
    else:
        low, high = min(finite), max(finite)
        axes.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axes.set_yticks(range(len(arms)), names)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    figure.supxlabel(label, color=INK, fontsize=LABEL)
    axes.set_title(in_lines(merit.title, TITLE, 0.55 * ROOM), color=INK, fontsize=TITLE)
    axes.tick_params(axis="x", labelsize=KEY)
    return figure


def _label(result: StudyResult, merit: FigureOfMerit) -> str:
    """What the differences are against, in lines that fit the figure."""
    unit = {"ratio": " (log scale)", "share": " in points"}.get(merit.scale, "")
    first, second = f"against {result.definition.baseline}{unit};", f"{merit.better} is better"
    return in_two_lines(first, second, LABEL, ROOM)


def ticks_of_decade(span: float) -> tuple[float, ...]:
    """Where a log axis has ticks, of 1 to 10, so that their labels do not touch."""
    return (1,) if span > 300 else (1, 3) if span > 30 else (1, 2, 5) if span > 8 else (1, 1.5, 2, 3, 5, 7)


def draw_runs(result: StudyResult, merit: FigureOfMerit) -> Figure:
    """Every run as a dot, with pairs of the same seed joined; dashed: real samples in place of generated ones."""
    arms = list(result.definition.all_arms)
    figure, axes = _figure(2.9)
    values = {arm: result.values(arm, merit.name) for arm in arms}
    for seed in sorted({seed for of_arm in values.values() for seed in of_arm}):
        path = [(place, values[arm].get(seed, math.nan)) for place, arm in enumerate(arms)]
        axes.plot(*zip(*path, strict=True), color="#808080", lw=0.5, alpha=0.6, zorder=1)
    for place, arm in enumerate(arms):
        of_arm = [value for value in values[arm].values() if math.isfinite(value)]
        style = style_of(result, arm)
        axes.plot([place] * len(of_arm), of_arm, style.marker, color=style.colour, ms=5, alpha=0.9, zorder=2)
        if real := [record.floors[merit.name] for record in result.of_arm(arm) if merit.name in record.floors]:
            axes.hlines(real[-1], place - 0.5, place + 0.5, color=INK, ls="--", lw=0.9)
    positive = [value for of_arm in values.values() for value in of_arm.values() if value > 0]
    is_log = merit.scale == "ratio" and bool(positive) and max(positive) > 5 * min(positive)
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(positive) < 1e3 * min(positive) else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    _name_arms(figure, axes, {arm: _note(values[arm], 0 if is_log else -math.inf) for arm in arms})
    axes.set_xlim(-0.5, len(arms) - 0.5)
    title = in_two_lines(merit.title, f"({merit.better} is better)", TITLE, 0.8 * ROOM)
    axes.set_title(title, color=INK, fontsize=TITLE)
    return figure


def _name_arms(figure: Figure, axes: Axes, names: Mapping[str, str]) -> None:
    """Names and notes of arms below their places; turned if there are many, or if one is too wide for its place."""
    room = 0.84 * ROOM / len(names) - 4
    parts = [part.strip() for text in (*names, *names.values()) for part in parts_of(text, TICK, room)]
    turned = len(names) >= MANY_ARMS or any(width_of(part, TICK) > room for part in parts)
    width = 0.5 * ROOM if turned else room
    texts = [in_lines(name, TICK, width) + (note and "\n" + in_lines(note, TICK, width))
             for name, note in names.items()]  # fmt: skip
    axes.set_xticks(range(len(texts)), texts, rotation=60 if turned else 0, ha="right" if turned else "center")
    if turned:
        lines = max(text.count("\n") for text in texts) + 1
        figure.set_figwidth(max(WIDTH, WIDTH - ROOM / 72 + len(texts) * 1.4 * lines * TICK / 72))
        figure.set_figheight(figure.get_figheight() + max(width_of(text, TICK) for text in texts) / 110)


def draw_curves(result: StudyResult, name: str, curves: Curves) -> Figure:
    """All seeds thin, the median of each arm thick."""
    steps, of_arms = curves[name]
    figure, axes = _figure(2.9)
    for arm, values in of_arms.items():
        style = style_of(result, arm)
        axes.plot(steps, values.T, color=style.colour, lw=0.5, alpha=0.6)
        marker = "o" if len(steps) <= FEW_POINTS else ""
        dashes = (0, tuple(each / THICK for each in style.dashes)) if style.dashes else "-"  # in widths of the line
        axes.plot(steps, median(values), color=style.colour, ls=dashes, lw=THICK, marker=marker, ms=4, label=arm)
    axes.set_xlabel("training step", color=INK)
    axes.set_title(in_lines(curve_title(name), TITLE, 0.75 * ROOM), color=INK, fontsize=TITLE)
    _add_legend(figure, axes)
    return figure


def _add_legend(figure: Figure, axes: Axes) -> None:
    """In as many columns as fit."""
    lines, names = axes.get_legend_handles_labels()
    names = [in_lines(name, KEY, ROOM - BESIDE_NAME) for name in names]
    widest = max((width_of(name, KEY) for name in names), default=0.0)
    columns = min(3, int(ROOM // (widest + BESIDE_NAME)), len(names)) or 1
    figure.legend(lines, names, loc="outside lower center", ncols=columns, frameon=False, labelcolor=INK, fontsize=KEY,
                  handlelength=2.4)  # fmt: skip
    rows = math.ceil(sum(name.count("\n") + 1 for name in names) / columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * max(0, rows - 2))


def median(values: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """The median over seeds (seeds, n) -> (n,); NaN where no run has a value."""
    known = numpy.isfinite(values).any(0)
    found = numpy.full(values.shape[1], math.nan)
    found[known] = numpy.nanmedian(numpy.where(numpy.isfinite(values[:, known]), values[:, known], math.nan), 0)
    return found


def curve_title(name: str) -> str:
    """ "FID of validation, 1,000 samples", "generator loss of training"."""
    kind, _, plain = name.partition("/")
    parsed = MetricName.parse(plain)
    of = {"train": "training", "val": "validation"}.get(kind, kind)
    if parsed is None:
        return f"{plain.replace('_', ' ')} of {of}"
    return f"{known(parsed.figure).title} of {of}, {parsed.images:,} samples"


KINDS = ("effects", "runs", "curves")
"""How the names of figures begin."""


def draw_all(result: StudyResult, curves: Curves) -> dict[str, Figure]:
    """Every figure of a study by name."""
    figures = {}
    with in_style():
        for merit in result.definition.merits:
            plain = file_name(merit.name.replace(".", "_").replace("@", "_at_"))
            figures[f"effects_{plain}"] = draw_effects(result, merit)
            figures[f"runs_{plain}"] = draw_runs(result, merit)
        for name in curves:
            figures[f"curves_{name.replace('/', '_')}"] = draw_curves(result, name, curves)
    return figures


def save(figures: Mapping[str, Figure], folder: Path) -> dict[str, str]:
    """Write each figure as SVG and PDF in place of earlier ones, and return the SVGs; the same figures give the same
    bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for old in folder.glob(f"{kind}_*"):
            if old.stem not in figures and old.suffix in (".svg", ".pdf"):
                old.unlink()
    written = {}
    for name, figure in figures.items():
        text = io.StringIO()
        with matplotlib.rc_context(_options(name)):
            figure.savefig(text, format="svg", transparent=True, metadata=NO_METADATA)
            figure.set_layout_engine("none")  # it is laid out, which takes most of the time
            with replacing(folder / f"{name}.pdf") as file:
                figure.savefig(file, format="pdf", metadata={"CreationDate": None})
        written[name] = text.getvalue()
        write_text(folder / f"{name}.svg", written[name])
    return written


def inline(svg: str) -> str:
    """An SVG file as a short element that takes the colour of its text from the page.

    Places are to a tenth of a point; equal styles, and the font, are written once.
    """
    short = re.sub(r">\s+<", "><", svg[svg.index("<svg") :]).replace(INK, "currentColor")
    short = re.sub(">[^<]*<", lambda text: text[0].replace('"', "&quot;"), short)  # what follows is for tags alone
    short = re.sub(r' (d|x|y|transform)="[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), short)
    short = re.sub(r' d="[^"]*"', lambda path: " " + re.sub(r"\s*([MLCQz])\s*", r"\1", path[0].strip()), short)
    short = re.sub('<g id="[^"]*">', "<g>", short)
    font = re.search(r'font-family: (?:[^;"&]|&\w+;)*; ', short)
    family = f' style="{font[0].strip()}"' if font else ""
    short = short.replace(font[0], "") if font else short
    styles = {style: f"s{sha256(style.encode()).hexdigest()[:8]}" for style in re.findall(' style="([^"]*)"', short)}
    short = re.sub(' style="([^"]*)"', lambda found: f' class="{styles[found[1]]}"', short)
    rules = "".join(f".{name}{{{style}}}" for style, name in styles.items())
    start, rest = short.split(">", 1)
    start = start.replace("<svg ", f'<svg role="img"{family} ', 1)
    return f"{start}><style>{rules}</style>{rest}"


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(which="both", colors=INK, labelsize=TICK)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.set_facecolor("none")
    return figure, axes


def _options(name: str) -> dict[Any, Any]:
    """Text stays text; the names inside an SVG depend on the figure's name only."""
    return STYLE | {"svg.hashsalt": name}


def _note(values: Mapping[int, float], least: float) -> str:
    """How many of an arm's runs lack the figure, or have a value that is not above the least of the axis."""
    missing = sum(not (math.isfinite(value) and value > least) for value in values.values())
    return f"({missing} without)" if missing else ""
