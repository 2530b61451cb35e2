"""Whether two curves of a run rise and fall together."""

import math

import numpy
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gans.run.folder import RunFolder
from gans.study.known_figures import TRAINING_STEP

LEAST_MOMENTS = 3
"""Two moments always agree or disagree wholly."""
Values = NDArray[numpy.float64]


def rank_correlation(run: RunFolder, curve: str, figure: str) -> float:
    """Spearman's rank correlation of a curve and a validation figure, over the validations of a run.

    Args:
        curve: ``training_step``, another validation figure, or a training curve, such as ``discriminator_accuracy``,
            whose mean since the validation before counts.
        figure: of validations: ``fid``.

    Returns:
        From -1 to 1; NaN for a run that lacks one of the two, has fewer than three validations, or in which one of the
        two never changes.
    """
    steps, values = run.validations(figure)
    others = _values_at(run, curve, steps)
    both = numpy.isfinite(values) & numpy.isfinite(others)
    values, others = values[both], others[both]
    if len(values) < LEAST_MOMENTS or numpy.ptp(values) == 0 or numpy.ptp(others) == 0:
        return math.nan
    return float(spearmanr(others, values).statistic)


def _values_at(run: RunFolder, curve: str, steps: Values) -> Values:
    """The curve's value for each of the validations, which are at these steps."""
    if curve == TRAINING_STEP:
        return steps
    if f"train/{curve}" in run.curves:
        recorded, values = run.curve(f"train/{curve}")
        since = [(recorded > before) & (recorded <= step) for before, step in zip([0, *steps], steps, strict=False)]
        return numpy.array([values[points].mean() if points.any() else math.nan for points in since])
    recorded, values = run.validations(curve)
    by_step = dict(zip(recorded, values, strict=True))
    return numpy.array([by_step.get(step, math.nan) for step in steps])
