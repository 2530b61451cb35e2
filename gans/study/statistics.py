"""Anytime-valid statistics of paired differences.

A test that is looked at while seeds are still running, and then gets more of them, must stay valid at every look. With
n differences of mean m and standard deviation s, t = √n (m − μ)/s, ν = n − 1 and g = 1, the evidence against a mean of
μ is

    E_n(μ) = (1 + n g)^(-1/2) · [(1 + t²/ν) / (1 + t²/(ν (1 + n g)))]^(n/2),

the Bayes factor of a t test with an effect size ~ N(0, g) (Wang and Ramdas 2023, "Anytime-valid t-tests and confidence
sequences for Gaussian means with unknown variance"; Lai 1976). If μ is the mean, E_n(μ) ever reaches 1/α with a
probability of at most α, however often one looks.

Differences that are all equal, as of figures with few values, do not tell their spread: nothing follows from them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.stats import binomtest

LEVEL = 0.05
"""The probability of a false alarm that is allowed."""
EFFECT_VARIANCE = 1.0
"""g, the variance of the effect size, in standard deviations squared, that the test expects."""
MOST_SEEDS = 1000
ROUNDING = 1e-6
"""Differences that differ by less than this share of their size are equal: metrics are in single precision."""

Values = NDArray[numpy.float64]


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def is_within(self, low: float, high: float) -> bool:
        return low <= self.low and self.high <= high


def log_e_values(means: Values, deviations: Values, n: int, null: float = 0.0) -> Values:
    """log E_n(null), for arrays of means and standard deviations (``ddof=1``) of n differences each; 0 for n < 2."""
    means, deviations = numpy.asarray(means, float), numpy.asarray(deviations, float)
    if n < 2:
        return numpy.zeros(means.shape)
    scale = 1 + n * EFFECT_VARIANCE
    with numpy.errstate(divide="ignore", invalid="ignore"):
        ratio = numpy.where(means == null, 0.0, n * ((means - null) / deviations) ** 2 / (n - 1))  # t²/ν
        growth = numpy.where(numpy.isinf(ratio), scale, (1 + ratio) / (1 + ratio / scale))
    return 0.5 * (n * numpy.log(growth) - math.log(scale))


def e_value(differences: Sequence[float] | Values, null: float = 0.0) -> float:
    """The evidence against a mean of ``null``: 20 or more refutes it at 5 %, whenever it is looked at."""
    values = numpy.asarray(differences, float)
    mean, deviation = _summary(values)
    if deviation == 0:
        return 1.0
    with numpy.errstate(over="ignore"):  # infinite evidence is what it is
        return float(numpy.exp(log_e_values(numpy.array(mean), numpy.array(deviation), len(values), null)))


def half_width(deviation: float, n: int, level: float = LEVEL) -> float:
    """Half the width of the confidence sequence of n differences with this standard deviation; infinite for few."""
    scale = 1 + n * EFFECT_VARIANCE
    bound = (math.sqrt(scale) / level) ** (2 / n) if n >= 2 else math.inf
    if bound >= scale:
        return math.inf
    return deviation * math.sqrt((n - 1) * (bound - 1) / (1 - bound / scale) / n)


def confidence_sequence(differences: Sequence[float] | Values, level: float = LEVEL) -> Interval:
    """All means that are not refuted: {μ: E_n(μ) < 1/level}. It contains the true mean at every n with probability
    1 - level."""
    values = numpy.asarray(differences, float)
    mean, deviation = _summary(values)
    half = half_width(deviation, len(values), level) if deviation > 0 else math.inf
    return Interval(mean - half, mean + half) if math.isfinite(half) else Interval(-math.inf, math.inf)


def are_equal(differences: Sequence[float] | Values) -> bool:
    """Whether differences, one or more, are equal but for rounding: 0.3 - 0.2 and 0.2 - 0.1 are."""
    values = numpy.asarray(differences, float)
    return bool(numpy.ptp(values) <= ROUNDING * numpy.abs(values).max())


def seeds_needed(
    differences: Sequence[float] | Values,
    matters: float,
    level: float = LEVEL,
    most: int = MOST_SEEDS,
    beyond: float = 0.0,
) -> int | None:
    """About how many differences in all would decide, if their mean and standard deviation stayed as they are.

    Args:
        matters: the smallest difference that matters; a sequence within ± it decides too.
        beyond: how far from 0 the whole of any other sequence has to be to decide.

    Returns:
        None if ``most`` would not decide, or without two differences that differ.
    """
    values = numpy.asarray(differences, float)
    if len(values) < 2 or are_equal(values):
        return None
    mean, deviation = _summary(values)
    for n in range(len(values), most + 1):
        half = half_width(deviation, n, level)
        if abs(mean) - half > beyond or abs(mean) + half <= matters:
            return n
    return None


def e_benjamini_hochberg(e_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which of K hypotheses to reject: the k largest e-values, with the largest k whose k-th is at least K/(level k).

    The false discovery rate is at most ``level`` under any dependence (Wang and Ramdas 2022, "False discovery rate
    control with e-values").
    """
    count = len(e_values)
    in_order = sorted(e_values, reverse=True)
    thresholds = [value for k, value in enumerate(in_order, 1) if value >= count / (level * k)]
    return [bool(thresholds) and value >= thresholds[-1] for value in e_values]


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """The two-sided p-value of the exact McNemar test that both are equally often true; NaN without pairs.

    It is not anytime-valid.
    """
    if not first:
        return math.nan
    only_first = sum(one and not other for one, other in zip(first, second, strict=True))
    only_second = sum(other and not one for one, other in zip(first, second, strict=True))
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def _summary(values: Values) -> tuple[float, float]:
    """Mean and standard deviation; NaN where they do not exist. Equal values have a deviation of exactly 0."""
    if len(values) == 0:
        return math.nan, math.nan
    if are_equal(values):
        return float(values[0]), 0.0
    return float(values.mean()), float(values.std(ddof=1))
