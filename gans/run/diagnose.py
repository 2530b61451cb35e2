"""A diagnosis of a run from its curves, with the same definitions for every GAN: docs/evaluation.md lists them.

A curve has a point every ``log_every`` training steps.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import find_peaks

from gans.files import write_json
from gans.run.folder import RunFolder

Values = NDArray[numpy.float64]

POINTS = 10
EVALUATIONS = 3
SWINGS = 3


@dataclass(frozen=True)
class LabelPeriod:
    """The period of a label, in training steps."""

    first_step: int
    last_step: int
    why: str


@dataclass(frozen=True)
class Verdict:
    labels: dict[str, LabelPeriod]
    """In order of first step; only ``healthy`` if no other label holds."""
    late_fluctuation: dict[str, float]
    """The standard deviation of a curve over the second half of the run's steps, for ``fid`` divided by the mean.
    Curves with fewer than two points there are missing."""

    def __str__(self) -> str:
        return "; ".join(
            f"{name} from step {period.first_step:,} to {period.last_step:,} ({period.why})"
            for name, period in self.labels.items()
        )


def diagnose(run: RunFolder) -> None:
    """Write verdict.json, and print the verdict."""
    verdict = find_verdict(run)
    write_json(run.verdict_file, {"schema": 1, **asdict(verdict)})
    print(f"what happened: {str(verdict) or 'too little to tell'}")


def find_verdict(run: RunFolder) -> Verdict:
    """The labels of a run and their periods, and its late fluctuation."""
    finders: dict[str, Callable[[RunFolder], LabelPeriod | None]] = {
        "discriminator saturation": saturation,
        "mode collapse": collapse,
        "divergence": divergence,
        "oscillation": oscillation,
    }
    found = {name: period for name, find in finders.items() if (period := find(run)) is not None}
    if not found:
        steps, _ = _curve(run, "train/generator_loss")
        found = {"healthy": LabelPeriod(int(steps[0]), int(steps[-1]), "none of the others held")} if len(steps) else {}
    in_order = dict(sorted(found.items(), key=lambda item: item[1].first_step))
    return Verdict(in_order, late_fluctuation(run))


def saturation(run: RunFolder) -> LabelPeriod | None:
    """For 10 points D's accuracy is at least 0.99, or G's loss stays within 0.001: G hardly learns any more."""
    steps, accuracy = _curve(run, "train/discriminator_accuracy")
    _, generator = _curve(run, "train/generator_loss")
    if len(steps) < POINTS:
        return None
    accurate = _windows(accuracy).min(1) >= 0.99
    constant = numpy.ptp(_windows(generator), 1) < 1e-3
    saturated = numpy.flatnonzero(accurate | constant)
    if saturated.size == 0:
        return None
    first, last = saturated[0], saturated[-1] + POINTS - 1
    why = "its accuracy stays at 0.99 or more" if accurate[first] else "the generator's loss stands still"
    return LabelPeriod(int(steps[first]), int(steps[last]), why)


def collapse(run: RunFolder) -> LabelPeriod | None:
    """Recall < 0.1, or class_kl > log 2 (half of the classes missing), for three evaluations in a row or to the end.

    From the first evaluation on it counts only if it lasts to the end: an untrained generator has such values too.
    """
    periods = []
    for name in ("recall", "class_kl"):
        steps, values = _evaluations(run, name)
        collapsed = values < 0.1 if name == "recall" else values > math.log(2)
        ranges = [
            (start, end)
            for start, end in _true_ranges(collapsed)
            if end == len(values) or (start > 0 and end - start >= EVALUATIONS)
        ]
        if ranges:
            first, last = ranges[0][0], ranges[-1][1] - 1
            periods.append(LabelPeriod(int(steps[first]), int(steps[last]), f"{name} {values[first]:.2f}"))
    return min(periods, key=lambda period: period.first_step, default=None)


def divergence(run: RunFolder) -> LabelPeriod | None:
    """A loss is not finite or, averaged over 10 points, beyond ±100; or a value that was not finite ended the run; or
    the validation FID stays above three times its minimum to the end, for at least three evaluations."""
    failure = run.history.failure
    periods = [LabelPeriod(failure[0], failure[0], failure[1])] if failure else []
    for player in ("discriminator", "generator"):
        steps, loss = _curve(run, f"train/{player}_loss")
        diverged = ~numpy.isfinite(loss)
        if len(loss) >= POINTS:
            diverged[POINTS - 1 :] |= numpy.abs(_windows(loss).mean(1)) > 100
        if diverged.any():
            first, last = numpy.flatnonzero(diverged)[[0, -1]]
            periods.append(LabelPeriod(int(steps[first]), int(steps[last]), f"{player} loss {loss[first]:.3g}"))
    steps, fid = _evaluations(run, "fid")
    if numpy.isfinite(fid).any():
        best = numpy.nanmin(fid)
        first = int(numpy.flatnonzero(fid <= 3 * best)[-1]) + 1
        if len(fid) - first >= EVALUATIONS:
            why = f"FID {fid[first]:.3g}, after {best:.3g} at its best"
            periods.append(LabelPeriod(int(steps[first]), int(steps[-1]), why))
    return min(periods, key=lambda period: period.first_step, default=None)


def oscillation(run: RunFolder) -> LabelPeriod | None:
    """G's loss, averaged over 10 points, has three alternating peaks and troughs of half its median size or more."""
    steps, loss = _curve(run, "train/generator_loss")
    if len(loss) < POINTS or not numpy.isfinite(loss).all():
        return None
    smooth = _windows(loss).mean(1)
    size = 0.5 * float(numpy.median(numpy.abs(smooth)))
    if size == 0:
        return None
    extrema = sorted((int(index), sign) for sign in (1, -1) for index in find_peaks(sign * smooth, prominence=size)[0])
    alternating = [next(group) for _, group in groupby(extrema, key=lambda extremum: extremum[1])]
    if len(alternating) < 2 * SWINGS:
        return None
    first, last = alternating[0][0], alternating[-1][0] + POINTS - 1
    why = f"the generator's loss swings {len(alternating) // 2} times"
    return LabelPeriod(int(steps[first]), int(steps[last]), why)


def late_fluctuation(run: RunFolder) -> dict[str, float]:
    names = {"discriminator_loss": "train/discriminator_loss", "generator_loss": "train/generator_loss"}
    fid = run.validation_name("fid")
    found = {}
    for name, curve in (names | ({"fid": fid} if fid else {})).items():
        steps, values = _curve(run, curve)
        late = values[steps > run.last_step / 2]
        if len(late) >= 2:
            found[name] = float(late.std(ddof=1) / (late.mean() if name == "fid" else 1))
    return found


def _curve(run: RunFolder, name: str) -> tuple[Values, Values]:
    curve = run.curves.get(name)
    return (curve["step"], curve["value"]) if curve else (numpy.empty(0), numpy.empty(0))


def _evaluations(run: RunFolder, metric: str) -> tuple[Values, Values]:
    return _curve(run, run.validation_name(metric) or "")


def _windows(values: Values) -> NDArray[Any]:
    return sliding_window_view(values, POINTS)


def _true_ranges(values: NDArray[numpy.bool_]) -> list[tuple[int, int]]:
    """The ranges of consecutive true values, as half-open intervals of indices."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate(([0], values.astype(int), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
