"""What decides a comparison: test figures, with their scales and good directions."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import get_args

import numpy
from numpy.typing import NDArray

from gans.errors import InputError
from gans.study.known_figures import (
    KNOWN,
    LATE_FLUCTUATION,
    RANK_CORRELATION,
    TRAINING_STEP,
    Direction,
    Scale,
    curve_and_figure,
    known,
)
from gans.study.statistics import Interval

MINUS = "−"
MATTERS: dict[Scale, float] = {"ratio": 1.2, "share": 0.05, "correlation": 0.2}
"""The smallest difference that matters, unless a study says otherwise."""


REST = 1e-12
"""What sums of differences that cancel may leave."""


@dataclass(frozen=True)
class FigureOfMerit:
    """A figure that decides.

    Args:
        name: of a value in a run's results, without its protocol: ``fid``.
        matters: the smallest difference that matters: a factor above 1 for ratios, else a difference above 0.
    """

    name: str
    scale: Scale
    better: Direction
    matters: float

    def __post_init__(self) -> None:
        least = 1 if self.scale == "ratio" else 0
        if not (isinstance(self.matters, Real) and self.matters > least):
            raise InputError(f"the smallest {self.name} that matters is {self.matters!r}: it must be above {least}")
        if self.scale == "share" and self.matters >= 1:
            raise InputError(
                f"the smallest {self.name} that matters is {self.matters}, but no two shares are so far apart: write "
                "5 points as 0.05"
            )
        is_of_run, step = is_of_curves(plain_name(self.name)), self.name.partition("@")
        if is_of_run and plain_name(self.name) != self.name:
            raise InputError(f"figures: {self.name}: {plain_name(self.name)} is of a whole run: leave the rest out")
        if step[1] and not (step[2].isascii() and step[2].isdecimal()):
            raise InputError(f"figures: {self.name}: after @ comes a training step, such as {step[0]}@3500")
        if step[1] and self.name.startswith("best."):
            raise InputError(f"figures: {self.name} is of two moments: leave out best. or @{step[2]}")

    def difference(self, value: NDArray[numpy.float64], baseline: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
        """The difference of each pair; for ratios on the log scale.

        Raises:
            InputError: for a value that has no place on the scale.
        """
        for each in numpy.concatenate((value, baseline)).tolist():
            if not self.has_place_for(each):
                raise InputError(f"{self.name} has the value {each:.4g}, which has no place on scale={self.scale}")
        return numpy.log(value / baseline) if self.scale == "ratio" else value - baseline

    def has_place_for(self, value: float) -> bool:
        """Whether a value is one of the scale's: positive for ratios, from 0 to 1 for shares. NaN is."""
        outside = {"ratio": value <= 0, "share": value < 0 or value > 1, "correlation": abs(value) > 1}
        return not outside.get(self.scale, False)

    @property
    def room(self) -> str:
        """Which values have a place on the scale, in words."""
        rooms: dict[str, str] = {"ratio": "a number above 0", "share": "0 to 1", "correlation": "-1 to 1"}
        return rooms.get(self.scale, "a number")

    @property
    def zone(self) -> float:
        """Half the width of the zone that does not matter, in differences."""
        return math.log(self.matters) if self.scale == "ratio" else self.matters

    def shown(self, difference: float) -> float:
        """A difference as people read it: a factor, or points, or as it is."""
        if self.scale == "ratio":
            return math.exp(difference) if difference < 700 else math.inf
        value = difference if abs(difference) > REST else 0.0
        return 100 * value if self.scale == "share" else value

    def possible(self, interval: Interval, number: float | None = None) -> Interval:
        """An interval of differences between runs, or from a number, without those that the scale can't have."""
        low, high = {"share": (0.0, 1.0), "correlation": (-1.0, 1.0)}.get(self.scale, (-math.inf, math.inf))
        least, most = (low - high, high - low) if number is None else (low - number, high - number)
        if math.isfinite(interval.low):
            return Interval(max(least, interval.low), min(most, interval.high))
        return interval

    def text(self, difference: float) -> str:
        """A difference in words: "× 0.83", "+3.1 points"."""
        if math.isnan(difference):
            return "–"
        value = self.shown(difference)
        text = {"ratio": f"× {value:.3g}", "share": f"{value:+.1f} points"}.get(self.scale, f"{value:+.3g}")
        return text.replace("-", MINUS)

    def range_text(self, low: float, high: float) -> str:
        """An interval in words: "0.71 to 0.97"."""
        if math.isinf(low) or math.isinf(high):
            return "any"
        form = {"ratio": ".3g", "share": "+.1f"}.get(self.scale, "+.3g")
        return f"{self.shown(low):{form}} to {self.shown(high):{form}}".replace("-", MINUS)

    @property
    def is_of_validations(self) -> bool:
        """Whether what it is made of, if a metric computes it, is computed at validations, and not in the test."""
        return "@" in self.name or self.name.startswith((LATE_FLUCTUATION, RANK_CORRELATION))

    @property
    def depends_on_length(self) -> bool:
        """Whether the length of training and the moments of validation alone decide that a finished run has it."""
        return self.is_of_validations or self.name.startswith("best.")

    @property
    def title(self) -> str:
        title, step = known(plain_name(self.name)).title, self.name.partition("@")[2]
        if step:
            return f"{title} at step {int(step):,}"
        return f"{title} of the best checkpoint" if self.name.startswith("best.") else title


def plain_name(figure: str) -> str:
    """A figure's name without its checkpoint and training step."""
    return figure.removeprefix("best.").partition("@")[0]


def is_of_curves(figure: str) -> bool:
    """Whether a figure is of the run as a whole, and not of its test."""
    return figure == "seconds" or figure.startswith((LATE_FLUCTUATION, RANK_CORRELATION))


def is_of_samples(figure: str) -> bool:
    """Whether a figure compares samples in the test, so that its full name says how many."""
    of_player = plain_name(figure).startswith(("discriminator_", "generator_"))  # of all test images
    return not (is_of_curves(figure) or "@" in figure or of_player)


def values_behind(figure: str) -> tuple[str, ...]:
    """The losses, accuracies and metrics that a figure is made of.

    The curve of a rank correlation may be any other that training records, such as ``augmentation_probability``.
    """
    if figure.startswith(RANK_CORRELATION):
        curve, name = curve_and_figure(figure)
        return (curve, name) if curve in KNOWN and curve != TRAINING_STEP else (name,)
    return () if figure == "seconds" else (plain_name(figure).removeprefix(LATE_FLUCTUATION),)


def require_whole_name(name: str) -> None:
    """Refuse a name of which a part is missing, or of which there are too many."""
    plain = plain_name(name)
    if plain.startswith(RANK_CORRELATION) and plain.count(".") != 2:
        raise InputError(
            f"figures: {name}: write {RANK_CORRELATION}<curve>.<validation figure>, such as "
            f"{RANK_CORRELATION}training_step.fid"
        )
    if plain.startswith(LATE_FLUCTUATION) and plain not in KNOWN:
        names = [each.removeprefix(LATE_FLUCTUATION) for each in KNOWN if each.startswith(LATE_FLUCTUATION)]
        raise InputError(f"figures: {name}: a late fluctuation is known of {', '.join(names)}")
    if not all(plain.split(".")):
        raise InputError(f"figures: '{name}' lacks a part of its name: write a figure's name, such as fid or best.fid")


def figure_of_merit(
    name: str, scale: Scale | None = None, better: Direction | None = None, matters: float | None = None
) -> FigureOfMerit:
    """A figure of merit, with what is known of it where nothing is given.

    Raises:
        InputError: for an unknown figure whose scale, direction or smallest difference that matters is not given.
    """
    for option, given, choices in (("scale", scale, get_args(Scale)), ("better", better, get_args(Direction))):
        if given is not None and given not in choices:
            raise InputError(f"figures.{name}: {option}={given!r}: choose from {', '.join(choices)}")
    require_whole_name(name)
    usual = known(plain_name(name))
    scale, better = scale or usual.scale, better or usual.better
    if scale is None or better is None:
        compared = ", ".join(other for other, each in KNOWN.items() if each.scale)
        raise InputError(
            f"figures.{name}: how it is compared is known of {compared} only: say its scale and what is better, such "
            f"as {{name: {name}, scale: ratio, better: lower}}"
        )
    if matters is None:
        matters = usual.matters if usual.matters and scale == usual.scale else MATTERS.get(scale)
    if matters is None:
        raise InputError(f"figures.{name}: scale=difference needs matters, the smallest difference that matters")
    return FigureOfMerit(name, scale, better, matters)
