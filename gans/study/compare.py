"""Comparison of two arms, run by run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy

from gans.errors import InputError
from gans.study.figures_of_merit import Direction, FigureOfMerit, Scale, figure_of_merit
from gans.study.statistics import LEVEL, Interval, are_equal, confidence_sequence, e_value, seeds_needed

Verdict = Literal["better", "worse", "no difference that matters", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """An arm's figure against a baseline's, in pairs of the same seed. Differences of ratios are logs."""

    figure: FigureOfMerit
    seeds: tuple[int, ...]
    """Seeds of the pairs that have the figure in both arms."""
    missing: int
    """How many pairs lack the figure in at least one arm."""
    differences: tuple[float, ...]
    """Arm less baseline, for each of ``seeds``."""
    medians: tuple[float, float]
    """Of the figure over the pairs, baseline and arm."""
    mean: float
    interval: Interval
    """The confidence sequence of the mean difference, at ``level``."""
    evidence: float
    """The e-value against no difference."""
    level: float
    verdict: Verdict
    seeds_needed: int | None
    """About how many seeds in all would decide; None if that can't be told, or more than 1,000."""

    @property
    def is_established(self) -> bool:
        """Whether there is a difference, of whatever size."""
        return self.evidence >= 1 / self.level

    @property
    def is_same_in_all(self) -> bool:
        """Whether all pairs, two or more, have the same difference, so that nothing is known of its spread."""
        return len(self.differences) > 1 and are_equal(self.differences)

    @property
    def is_open(self) -> bool:
        """Whether more seeds may decide: not if all pairs are equal, or if even 1,000 like these would not."""
        return len(self.differences) < 2 or self.seeds_needed is not None

    @property
    def effect(self) -> str:
        """The mean difference and its interval in words: "× 0.83 (0.71 to 0.97)"."""
        if self.is_same_in_all:
            return f"{self.figure.text(self.mean)} in all {len(self.seeds)} pairs"
        return f"{self.figure.text(self.mean)} ({self.figure.range_text(self.interval.low, self.interval.high)})"


def compare(
    arm: Mapping[int, float] | Sequence[float],
    baseline: Mapping[int, float] | Sequence[float] | float,
    figure: FigureOfMerit | str = "fid",
    *,
    scale: Scale | None = None,
    better: Direction | None = None,
    matters: float | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Compare two arms by a figure, run by run: whenever you like, and again after more runs.

    Args:
        arm, baseline: the figure by seed, or as sequences whose entries are pairs. A run lacks the figure if it is not
            finite, such as NaN. The baseline may be a number.
        figure: a FigureOfMerit, or a name. With a name, ``scale``, ``better`` and ``matters`` say what is not known.
        level: the probability of a false alarm over all looks; with m claims 0.05/m.

    Raises:
        InputError: for sequences of different lengths, an arm by seed beside one that is a sequence, values that have
            no place on the figure's scale, or other arguments that make no sense.
    """
    if not (isinstance(level, Real) and 0 < level < 1):
        raise InputError(f"level={level!r} is no probability: give a number between 0 and 1")
    figure = _merit(figure, scale, better, matters)
    against = float(baseline) if isinstance(baseline, Real) else None
    pairs = _pairs(arm, baseline)
    seeds = [seed for seed, pair in pairs.items() if all(map(math.isfinite, pair))]
    one, other = numpy.array([pairs[seed] for seed in seeds], float).reshape(-1, 2).T
    differences = figure.difference(one, other)
    interval = figure.possible(confidence_sequence(differences, level), against)
    evidence = e_value(differences)
    mean = float(differences.mean()) if seeds else math.nan
    return Comparison(
        figure,
        tuple(seeds),
        missing=len(pairs) - len(seeds),
        differences=tuple(differences.tolist()),
        medians=(float(numpy.median(other)), float(numpy.median(one))) if seeds else (math.nan, math.nan),
        mean=mean,
        interval=interval,
        evidence=evidence,
        level=level,
        verdict=_verdict(figure, mean, interval, evidence >= 1 / level),
        seeds_needed=seeds_needed(differences, figure.zone, level),
    )


def _merit(
    figure: FigureOfMerit | str, scale: Scale | None, better: Direction | None, matters: float | None
) -> FigureOfMerit:
    if isinstance(figure, str):
        return figure_of_merit(figure, scale, better, matters)
    if not isinstance(figure, FigureOfMerit):
        raise InputError(f"figure={figure!r} is neither a figure's name nor a FigureOfMerit")
    if (scale, better, matters) != (None, None, None):
        raise InputError("a FigureOfMerit has its scale, better and matters: leave these out")
    return figure


def _verdict(figure: FigureOfMerit, mean: float, interval: Interval, is_established: bool) -> Verdict:
    if interval.is_within(-figure.zone, figure.zone):
        return "no difference that matters"
    if not is_established:
        return "undecided"
    return _of_difference(figure, mean)


def _of_difference(figure: FigureOfMerit, difference: float) -> Verdict:
    return "better" if (difference < 0) == (figure.better == "lower") else "worse"


def _pairs(
    arm: Mapping[int, float] | Sequence[float], baseline: Mapping[int, float] | Sequence[float] | float
) -> dict[int, tuple[float, float]]:
    """Both arms' figures of each seed that both have, in order of the seeds; a number is the same for all."""
    if isinstance(baseline, float | Real):
        if not math.isfinite(baseline):
            raise InputError(f"baseline={baseline}: a number to compare with has to be finite")
        return {seed: (value, float(baseline)) for seed, value in sorted(_by_seed(arm).items())}
    if isinstance(arm, Mapping) != isinstance(baseline, Mapping):
        raise InputError("one arm's figures are by seed, and the other's are a list: give both in the same way")
    ours, theirs = (_by_seed(values) for values in (arm, baseline))
    if not isinstance(arm, Mapping) and len(ours) != len(theirs):
        raise InputError(f"{len(ours)} and {len(theirs)} runs are no pairs: give the figures by seed")
    return {seed: (ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())}


def _by_seed(values: Mapping[int, float] | Sequence[float]) -> dict[int, float]:
    try:
        by_seed = dict(values if isinstance(values, Mapping) else enumerate(values))
    except TypeError as error:
        raise InputError(f"give figures as a list or by seed, and not as {type(values).__name__}") from error
    if wrong := [each for each in by_seed.values() if not isinstance(each, Real)]:
        raise InputError(
            f"a figure is a number, and not of the type {type(wrong[0]).__name__}: give NaN where a run lacks it"
        )
    return by_seed
