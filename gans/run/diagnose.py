"""What happened in a run, told from its curves alone: a few definitions, the same for every GAN.

========================  ============================================================================================
label                     it holds
========================  ============================================================================================
discriminator saturation  while, for 10 recorded points, the discriminator's accuracy stays at 0.99 or more, or the
                          generator's loss stands still (within 0.001): the generator hardly learns from it any more
mode collapse             while, of the real validation images, fewer than a tenth have their like among the generated
                          ones (recall < 0.1), or the generated classes lack the equivalent of half of the real ones
                          (class_kl > log 2): for three evaluations in a row, or to the end. An untrained generator
                          is like that too, so a stretch from the first evaluation on counts only if it never ends
divergence                while a loss is not finite or, averaged over 10 points, beyond ±100; at the step that ended
                          the run, as a loss, gradient or weight was not finite; or once the validation FID leaves for
                          good: beyond three times its best, to the end, for three evaluations or more
oscillation               while the generator's loss, averaged over 10 points, swings: three peaks and three troughs in
                          turn, each at least half of the loss's median size away from its neighbours
healthy                   where none of these held
========================  ============================================================================================

A curve has a point every ``log_every`` steps. Steps are training steps.
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
    """A label, and when it held."""

    first_step: int
    last_step: int
    why: str


@dataclass(frozen=True)
class Verdict:
    labels: dict[str, LabelPeriod]
    """In order of first step; ``healthy`` alone where there is no other."""
    late_fluctuation: dict[str, float]
    """How much a curve fluctuates late in training: the standard deviation of its points in the second half of the
    run's steps; for ``fid`` relative to their mean. A curve with fewer than two points there has none."""

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    def __str__(self) -> str:
        return "; ".join(
            f"{name} from step {held.first_step:,} to {held.last_step:,} ({held.why})"
            for name, held in self.labels.items()
        )


def diagnose(run: RunFolder) -> None:
    """Write verdict.json, and print what happened."""
    verdict = find_verdict(run)
    write_json(run.verdict_file, verdict.to_json())
    print(f"what happened: {str(verdict) or 'too little to tell'}")


def find_verdict(run: RunFolder) -> Verdict:
    """The labels of a run, and its stability."""
    finders: dict[str, Callable[[RunFolder], LabelPeriod | None]] = {
        "discriminator saturation": saturation,
        "mode collapse": collapse,
        "divergence": divergence,
        "oscillation": oscillation,
    }
    found = {name: held for name, find in finders.items() if (held := find(run)) is not None}
    if not found:
        steps, _ = _curve(run, "train/generator_loss")
        found = {"healthy": LabelPeriod(int(steps[0]), int(steps[-1]), "none of the others held")} if len(steps) else {}
    in_order = dict(sorted(found.items(), key=lambda item: item[1].first_step))
    return Verdict(in_order, late_fluctuation(run))


def saturation(run: RunFolder) -> LabelPeriod | None:
    steps, accuracy = _curve(run, "train/discriminator_accuracy")
    _, generator = _curve(run, "train/generator_loss")
    if len(steps) < POINTS:
        return None
    sure = _windows(accuracy).min(1) >= 0.99
    still = numpy.ptp(_windows(generator), 1) < 1e-3
    if not (sure | still).any():
        return None
    first = int((sure | still).argmax())
    last = int(numpy.flatnonzero(sure | still)[-1]) + POINTS - 1
    why = "its accuracy stays at 0.99 or more" if sure[first] else "the generator's loss stands still"
    return LabelPeriod(int(steps[first]), int(steps[last]), why)


def collapse(run: RunFolder) -> LabelPeriod | None:
    recall_at, recall = _evaluations(run, "recall")
    kl_at, kl = _evaluations(run, "class_kl")
    reasons = (
        (recall_at, recall < 0.1, recall, "recall"),
        (kl_at, kl > math.log(2), kl, "class_kl"),
    )
    held = []
    for steps, bad, values, name in reasons:
        runs = [
            (start, end)
            for start, end in _stretches(bad)
            if end == len(bad) or (start > 0 and end - start >= EVALUATIONS)
        ]
        if runs:
            first, last = runs[0][0], runs[-1][1] - 1
            held.append(LabelPeriod(int(steps[first]), int(steps[last]), f"{name} {values[first]:.2f}"))
    return min(held, key=lambda each: each.first_step, default=None)


def divergence(run: RunFolder) -> LabelPeriod | None:
    failure = run.history.failure
    held = [LabelPeriod(failure[0], failure[0], failure[1])] if failure else []
    for player in ("discriminator", "generator"):
        steps, loss = _curve(run, f"train/{player}_loss")
        beyond = ~numpy.isfinite(loss)
        if len(loss) >= POINTS:
            beyond[POINTS - 1 :] |= numpy.abs(_windows(loss).mean(1)) > 100
        if beyond.any():
            where = numpy.flatnonzero(beyond)
            held.append(LabelPeriod(int(steps[where[0]]), int(steps[where[-1]]), f"{player} loss {loss[where[0]]:.3g}"))
    steps, fid = _evaluations(run, "fid")
    if len(fid):
        best = int(fid.argmin())
        near = numpy.flatnonzero(fid <= 3 * fid[best])
        left = int(near[-1]) + 1
        if len(fid) - left >= EVALUATIONS:
            held.append(
                LabelPeriod(int(steps[left]), int(steps[-1]), f"FID {fid[left]:.3g}, after {fid[best]:.3g} at its best")
            )
    return min(held, key=lambda each: each.first_step, default=None)


def oscillation(run: RunFolder) -> LabelPeriod | None:
    steps, loss = _curve(run, "train/generator_loss")
    if len(loss) < POINTS or not numpy.isfinite(loss).all():
        return None
    smooth = _windows(loss).mean(1)
    size = 0.5 * float(numpy.median(numpy.abs(smooth)))
    if size == 0:
        return None
    turns = sorted((int(index), sign) for sign in (1, -1) for index in find_peaks(sign * smooth, prominence=size)[0])
    alternating = [next(group) for _, group in groupby(turns, key=lambda turn: turn[1])]
    if len(alternating) < 2 * SWINGS:
        return None
    first, last = alternating[0][0], alternating[-1][0] + POINTS - 1
    return LabelPeriod(
        int(steps[first]), int(steps[last]), f"the generator's loss swings {len(alternating) // 2} times"
    )


def late_fluctuation(run: RunFolder) -> dict[str, float]:
    """See ``Verdict.late_fluctuation``."""
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


def _stretches(holds: NDArray[numpy.bool_]) -> list[tuple[int, int]]:
    """Where it holds, as half-open ranges of indices."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate(([0], holds.astype(int), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
