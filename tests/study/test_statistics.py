"""The anytime-valid test: against quadrature, by its laws, and by simulated studies that are looked at all the time."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import nct, norm, t

from gans.study.compare import compare
from gans.study.statistics import (
    Interval,
    confidence_sequence,
    e_benjamini_hochberg,
    e_value,
    half_width,
    log_e_values,
    mcnemar,
    seeds_needed,
)

STUDIES, SEEDS = 5000, 30
DIFFERENCES = st.lists(st.floats(-3, 3).filter(lambda value: abs(value) > 1e-3), min_size=2, max_size=12)


@pytest.mark.parametrize(("n", "statistic"), [(2, 0.3), (5, 2.1), (8, -3.0), (20, 1.0), (30, 4.5)])
def test_the_evidence_is_the_bayes_factor_of_its_definition(n: int, statistic: float) -> None:
    """The noncentral t density, averaged over effect sizes ~ N(0, 1), over the central one."""
    degrees = n - 1
    marginal, _ = quad(
        lambda effect: nct.pdf(statistic, degrees, effect * math.sqrt(n)) * norm.pdf(effect), -9, 9,
        epsabs=1e-14, epsrel=1e-12, limit=400, points=[statistic / math.sqrt(n)],
    )  # fmt: skip
    values = numpy.arange(n, dtype=float)
    values = (values - values.mean()) / values.std(ddof=1) + statistic / math.sqrt(n)
    assert e_value(values) == pytest.approx(marginal / t.pdf(statistic, degrees), rel=1e-9)


@given(DIFFERENCES, st.floats(-2, 2), st.sampled_from([0.05, 0.01, 0.2]))
def test_the_sequence_holds_exactly_the_means_that_are_not_refuted(
    differences: list[float], mean: float, level: float
) -> None:
    evidence = e_value(differences, mean)
    if abs(evidence * level - 1) > 1e-6:  # rounding may decide at the border
        assert (mean in confidence_sequence(differences, level)) == (evidence < 1 / level)


@given(DIFFERENCES, st.floats(0.01, 100))
def test_scale_and_sign_do_not_matter(differences: list[float], scale: float) -> None:
    scaled = [-scale * value for value in differences]
    assert e_value(scaled) == pytest.approx(e_value(differences), rel=1e-6)
    one, other = confidence_sequence(differences), confidence_sequence(scaled)
    assert other.low == pytest.approx(-scale * one.high, rel=1e-6)


def test_equal_differences_and_few_of_them() -> None:
    assert e_value([]) == e_value([0.3]) == 1
    assert confidence_sequence([0.3]) == Interval(-math.inf, math.inf)
    assert e_value([0.0] * 8) == e_value([0.1] * 8) == 1  # their spread is not known
    assert confidence_sequence([0.1] * 8) == Interval(-math.inf, math.inf)
    assert seeds_needed([0.1] * 8, 1.0) is None
    for step in (0.02, 0.1, 0.15):  # of shares such as k/n, whose differences are equal but for rounding
        shares = numpy.array([step * k for k in range(1, 6)])
        for kind in (numpy.float32, numpy.float64):
            found = compare((shares + step).astype(kind).tolist(), shares.astype(kind).tolist(), "recall")
            assert (found.verdict, found.evidence, found.is_same_in_all) == ("undecided", 1, True)
    alike = [0.1, 0.1 + 1e-5] * 4
    assert next(n for n in range(2, 9) if e_value(alike[:n]) >= 20) == 5  # no fewer can decide, whatever they show


def test_differences_that_cancel_are_shown_as_none() -> None:
    found = compare([0.1, 0.2, 0.3], [0.2, 0.3, 0.1], "rank_correlation.training_step.fid")
    assert found.mean == pytest.approx(0, abs=1e-12)
    assert found.figure.text(found.mean) == "+0"


def test_half_widths_in_standard_deviations() -> None:
    found = {n: half_width(1.0, n) for n in (6, 8, 12, 20, 30)}
    assert found == pytest.approx({6: 2.2, 8: 1.5, 12: 1.06, 20: 0.77, 30: 0.61}, rel=0.03)


def running_evidence(differences: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """The largest e-value of each study (studies, seeds) until each number of seeds."""
    largest = numpy.zeros(differences.shape)
    for n in range(2, differences.shape[1] + 1):
        seen = differences[:, :n]
        now = log_e_values(seen.mean(1), seen.std(1, ddof=1), n)
        largest[:, n - 1] = numpy.maximum(largest[:, n - 2], now)
    return numpy.exp(largest)


@pytest.mark.parametrize("kind", ["normal", "heavy tails"])
def test_false_alarms_under_continuous_looking(kind: str) -> None:
    """At most 5 % within 30 seeds without an effect; a plain t test at every look raises five times as many."""
    random = numpy.random.default_rng(0)
    shape = (STUDIES, SEEDS)
    kinds = {
        "normal": lambda: random.normal(size=shape),
        "heavy tails": lambda: random.standard_t(3, size=shape),
    }
    differences = kinds[kind]()
    alarms = (running_evidence(differences) >= 20).mean(0)
    assert alarms[-1] <= 0.05
    if kind == "normal":
        assert alarms[[4, 7, 9, 19, 29]] == pytest.approx([0.001, 0.008, 0.011, 0.018, 0.022], abs=0.006)
        with numpy.errstate(all="ignore"):
            naive = numpy.array(
                [
                    2 * t.sf(numpy.abs(seen.mean(1) / seen.std(1, ddof=1)) * math.sqrt(n), n - 1) < 0.05
                    for n in range(2, SEEDS + 1)
                    for seen in [differences[:, :n]]
                ]
            )
        assert naive.any(0).mean() > 0.2


@pytest.mark.parametrize(
    ("effect", "decided"),
    [(1.0, [0.02, 0.23, 0.38, 0.88, 0.99]), (1.5, [0.06, 0.58, 0.80, 1, 1]), (2.0, [0.13, 0.87, 0.98, 1, 1])],
)
def test_what_a_number_of_seeds_can_tell(effect: float, decided: list[float]) -> None:
    """The share of studies that are decided after 5, 8, 10, 20 and 30 seeds, as docs/studies.md says."""
    differences = numpy.random.default_rng(1).normal(effect, size=(STUDIES, SEEDS))
    found = (running_evidence(differences) >= 20).mean(0)[[4, 7, 9, 19, 29]]
    assert found == pytest.approx(decided, abs=0.025)


def test_the_false_discovery_rate_of_many_arms() -> None:
    """Twenty arms, ten of them with an effect, against one baseline that they share: their differences depend."""
    random = numpy.random.default_rng(2)
    rates, powers = [], []
    effects = numpy.repeat([0.0, 3.0], 10)
    for _ in range(500):
        baseline = random.normal(size=(1, 10))
        differences = random.normal(size=(20, 10)) + effects[:, None] - baseline
        rejected = numpy.array(e_benjamini_hochberg([e_value(row) for row in differences]))
        rates.append((rejected & (effects == 0)).sum() / max(1, rejected.sum()))
        powers.append(rejected[effects > 0].mean())
    assert numpy.mean(rates) <= 0.05
    assert numpy.mean(powers) > 0.5


def test_e_benjamini_hochberg_by_hand() -> None:
    """Four hypotheses at 5 %: 80, 40, 26.7, 20 are asked of the largest, the second, ..."""
    assert e_benjamini_hochberg([100, 1, 39, 0.5]) == [True, False, False, False]
    assert e_benjamini_hochberg([60, 45, 27, 0.5]) == [True, True, True, False]
    assert e_benjamini_hochberg([79, 1, 1, 1]) == [False] * 4


def test_mcnemar_counts_discordant_pairs_only() -> None:
    first = [True] * 6 + [False] * 4
    assert mcnemar(first, [False] * 10) == pytest.approx(2 * 0.5**6)
    assert mcnemar(first, first) == 1


def test_seeds_needed_decide() -> None:
    """As many differences of the same mean and deviation do decide, and one fewer do not."""
    differences = [0.1, -0.2, -0.3, -0.15, 0.05, -0.25]
    needed = seeds_needed(differences, matters=0.01)
    assert needed is not None
    mean, deviation = numpy.mean(differences), numpy.std(differences, ddof=1)
    decides = [log_e_values(numpy.array(mean), numpy.array(deviation), n) >= math.log(20) for n in (needed - 1, needed)]
    assert decides == [False, True]
    assert seeds_needed([0.0, 1e-9, -1e-9, 1e-9], matters=0.2) == 5
    further = seeds_needed(differences, matters=0.01, beyond=0.05)
    assert further is not None
    ends = [abs(mean) - half_width(float(deviation), n) for n in (further - 1, further)]
    assert ends[0] <= 0.05 < ends[1]
