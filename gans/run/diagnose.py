"""A diagnosis of a run from its curves, with the same definitions for every GAN: docs/evaluation.md lists them.

A curve has a point every ``log_every`` training steps.
"""

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import find_peaks

from gans.config.build import build
from gans.errors import warn
from gans.files import write_json
from gans.objectives import Objective
from gans.run.folder import RunFolder
from gans.run.test_results import no_results
from gans.update import Samples, ScoredBatch

Values = NDArray[numpy.float64]

POINTS = 10
EVALUATIONS = 3
SWINGS = 3
SWING_POINTS = POINTS + 2 * SWINGS + 1
"""The fewest points in which there can be three peaks and troughs."""
GOOD_SHARE = 0.25
"""Samples are good if their precision is at least this share of real images' precision."""
SAMPLE_QUALITY = ("precision", "high_quality")
"""The metrics that judge single samples; the first that a run has is used."""


@dataclass(frozen=True)
class LabelPeriod:
    """The period of a label, in training steps."""

    first_step: int
    last_step: int
    why: str


@dataclass(frozen=True)
class Verdict:
    labels: dict[str, LabelPeriod]
    """In order of first step; only ``healthy`` if all others could be judged and none holds."""
    not_judged: dict[str, str]
    """Labels that may hold or not, and what the run lacks to tell."""
    late_fluctuation: dict[str, float]
    """The standard deviation of a curve over the second half of the run's steps, for ``fid`` divided by the mean.
    Curves with fewer than two points there are missing."""

    def __str__(self) -> str:
        found = [
            f"{name} from step {period.first_step:,} to {period.last_step:,} ({period.why})"
            for name, period in self.labels.items()
        ]
        open_questions = [f"{name} (needs {lack})" for name, lack in self.not_judged.items()]
        return "; ".join(
            (found or ["nothing bad was found, but not all could be judged"])
            + ([f"not judged: {', '.join(open_questions)}"] if open_questions else [])
        )


def diagnose(run: RunFolder) -> None:
    """Write verdict.json, and print the verdict. An earlier one stays if the curves that it was found in are lost."""
    if run.verdict_file.is_file() and not run.metrics_file.is_file():
        warn(f"'{run.metrics_file}' is lost, so '{run.verdict_file.name}' and late fluctuations stay as they were")
        return
    verdict = find_verdict(run)
    write_json(run.verdict_file, asdict(verdict))
    print(f"what happened: {verdict}")


def read_verdict(run: RunFolder) -> Verdict:
    """The contents of verdict.json, of older versions without ``not_judged``; an InputError if it can't be read."""
    try:
        stored = json.loads(run.verdict_file.read_text(encoding="utf-8"))
        labels = {name: LabelPeriod(**period) for name, period in stored["labels"].items()}
        return Verdict(labels, dict(stored.get("not_judged", {})), dict(stored["late_fluctuation"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise no_results(run, run.verdict_file) from error


def find_verdict(run: RunFolder) -> Verdict:
    """The labels of a run and their periods, what could not be judged, and the late fluctuation."""
    found = {name: period for name, (find, _) in DIAGNOSES.items() if (period := find(run)) is not None}
    lacks = {name: lacking(run) for name, (_, lacking) in DIAGNOSES.items() if name not in found}
    not_judged = {name: lack for name, lack in lacks.items() if lack is not None}
    if not found and not not_judged:
        steps, _ = run.curve("train/generator_loss")
        quality = f"{_quality_name(run)} {_quality(run)[1][-1]:.2f} at the end, of real images {_real(run):.2f}"
        found = {"healthy": LabelPeriod(int(steps[0]), int(steps[-1]), f"none of the others held; {quality}")}
    in_order = dict(sorted(found.items(), key=lambda item: item[1].first_step))
    return Verdict(in_order, not_judged, late_fluctuation(run))


def saturation(run: RunFolder) -> LabelPeriod | None:
    """For 10 points D's accuracy is at least 0.99, or G's loss stays within 0.001: G hardly learns any more.

    Not so where the loss stays within 0.01 of that for undecided scores, since D then can't tell fakes from reals. The
    accuracy does not count for a critic without bounds, whose scores have no zero.
    """
    objective = _objective(run)
    undecided = math.nan if objective is None else loss_if_undecided(objective)

    def held(curve: str, why: str, holds: Callable[[NDArray[Any]], NDArray[numpy.bool_]]) -> LabelPeriod | None:
        """From the first to the last window of points in which something holds; None if there is none."""
        steps, values = run.curve(f"train/{curve}")  # the generator may learn in some steps only
        if len(values) < POINTS or not (found := numpy.flatnonzero(holds(_windows(values)))).size:
            return None
        return LabelPeriod(int(steps[found[0]]), int(steps[found[-1] + POINTS - 1]), why)

    def is_sure(accuracy: NDArray[Any]) -> NDArray[numpy.bool_]:
        return (accuracy.min(1) >= 0.99) & _one_score_tells(objective)

    def stands_still(loss: NDArray[Any]) -> NDArray[numpy.bool_]:
        return (numpy.ptp(loss, 1) < 1e-3) & ~(numpy.abs(loss.mean(1) - undecided) < 0.01)

    found = (
        held("discriminator_accuracy", "its accuracy stays at 0.99 or more", is_sure),
        held("generator_loss", "the generator's loss stands still", stands_still),
    )
    periods = [period for period in found if period is not None]
    if not periods:
        return None
    first = min(periods, key=lambda period: period.first_step)
    return LabelPeriod(first.first_step, max(period.last_step for period in periods), first.why)


def poor_samples(run: RunFolder) -> LabelPeriod | None:
    """Samples are not good at the last evaluation: the generator is not trained enough, or training has failed.

    Good samples have at least a quarter of real images' precision (of points whose precision is not known: of real
    points' share near the modes).
    """
    steps, quality = _quality(run)
    bad = _true_ranges(~_are_good(run))
    if not bad or bad[-1][1] < len(steps):
        return None
    best = quality[bad[-1][0] :].max()
    why = f"{_quality_name(run)} {best:.2f} at its best, of real images {_real(run):.2f}"
    if alike := _why_alike(run)[-1]:
        why += f", and not diverse at the end: {alike}"
    return LabelPeriod(int(steps[bad[-1][0]]), int(steps[-1]), why)


def collapse(run: RunFolder) -> LabelPeriod | None:
    """Samples are alike at three evaluations in a row, or at the last one if there were three or more. It may have
    ended again.

    Samples are alike if recall < 0.1, or if class KL or mode KL exceeds that of real images by log 2 = 0.69, as when
    half of the classes are missing. An evaluation counts only if its samples are good (at least a quarter of real
    images' precision), or if earlier ones were good and not alike: a generator that is not trained yet has not
    collapsed.
    """
    steps, _ = _quality(run)
    why = _why_alike(run)
    alike = why != ""
    good = _are_good(run)
    was_fine = numpy.logical_or.accumulate(good & ~alike)
    ranges = [
        (start, end)
        for start, end in _true_ranges(alike & (good | was_fine))
        if end - start >= EVALUATIONS or end == len(steps) >= EVALUATIONS
    ]
    if not ranges:
        return None
    return LabelPeriod(int(steps[ranges[0][0]]), int(steps[ranges[-1][1] - 1]), str(why[ranges[0][0]]))


def divergence(run: RunFolder) -> LabelPeriod | None:
    """A loss is not finite or, averaged over 10 points, beyond ±100 (not G's of a critic without bounds); or a value
    that was not finite ended the run; or the validation FID stays above three times its minimum, and three times that
    of real samples, to the end, for at least three evaluations."""
    failure = run.history.failure
    periods = [LabelPeriod(failure[0], failure[0], failure[1])] if failure else []
    for player in ("discriminator", "generator"):
        steps, loss = run.curve(f"train/{player}_loss")
        diverged = ~numpy.isfinite(loss)
        if len(loss) >= POINTS and (player == "discriminator" or _one_score_tells(_objective(run))):
            diverged[POINTS - 1 :] |= numpy.abs(_windows(loss).mean(1)) > 100
        if diverged.any():
            first, last = numpy.flatnonzero(diverged)[[0, -1]]
            periods.append(LabelPeriod(int(steps[first]), int(steps[last]), f"{player} loss {loss[first]:.3g}"))
    steps, fid = run.validations("fid")
    if numpy.isfinite(fid).any():
        best = numpy.nanmin(fid)
        first = int(numpy.flatnonzero(fid <= 3 * max(best, run.floor("fid", 0.0)))[-1]) + 1
        if len(fid) - first >= EVALUATIONS:
            why = f"FID {fid[first]:.3g}, after {best:.3g} at its best"
            periods.append(LabelPeriod(int(steps[first]), int(steps[-1]), why))
    return min(periods, key=lambda period: period.first_step, default=None)


def oscillation(run: RunFolder) -> LabelPeriod | None:
    """G's loss, averaged over 10 points, has three alternating peaks and troughs of half its median size or more."""
    steps, loss = run.curve("train/generator_loss")
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
        steps, values = run.curve(curve)
        late = values[steps > run.last_step / 2]
        if len(late) >= 2:
            found[name] = float(late.std(ddof=1) / (late.mean() if name == "fid" else 1))
    return found


def _objective(run: RunFolder) -> Objective | None:
    """What the run's players minimized; None for an objective of the user's own, whose code is not run here."""
    node = run.config.get("objective", {})
    return build(node, "objective") if str(node.get("_target_")).startswith("gans.") else None


def _one_score_tells(objective: Objective | None) -> bool:
    """Whether one score alone says "real" or "fake", or the loss is of pairs; true where it is not known."""
    return objective is None or objective.has_absolute_scores or objective.compares_pairs


def loss_if_undecided(objective: Objective) -> float:
    """The generator's loss for a discriminator that can't tell fakes from reals; NaN where two scores don't tell it."""
    fake, real = (
        Samples(torch.zeros(1, 1), torch.zeros(1).long(), torch.full((1,), objective.real_target), torch.ones(1).bool())
        for _ in range(2)
    )
    pairs = real if objective.compares_pairs else real.first(0)
    outputs = torch.full((2 if objective.compares_pairs else 1, 1), objective.undecided_score)
    try:
        return objective.generator(ScoredBatch(lambda images, _: images, fake, pairs, False, outputs)).item()
    except Exception:  # of a class that the user has added to the package, which needs more
        return math.nan


def _quality_name(run: RunFolder) -> str:
    return next((name for name in SAMPLE_QUALITY if run.validation_name(name)), SAMPLE_QUALITY[0])


def _quality(run: RunFolder) -> tuple[Values, Values]:
    """The steps of the evaluations, and the precision of samples there, or their share of high quality.

    Both are empty if the floors are lost: samples are judged against them.
    """
    return run.validations(_quality_name(run)) if run.floors else (numpy.empty(0), numpy.empty(0))


def _real(run: RunFolder) -> float:
    """The quality of real images; 1 where it is not known."""
    return run.floor(_quality_name(run), 1.0)


def _are_good(run: RunFolder) -> NDArray[numpy.bool_]:
    return _quality(run)[1] >= GOOD_SHARE * _real(run)


def _why_alike(run: RunFolder) -> NDArray[Any]:
    """For each evaluation why its samples are not diverse, as text; "" if they are, or if nothing tells."""
    steps, _ = _quality(run)
    why = numpy.full(len(steps), "", object)
    for name in ("recall", "class_kl", "mode_kl"):
        _, values = run.validations(name)
        if len(values) == len(steps):
            lost = values < 0.1 if name == "recall" else values - run.floor(name, 0.0) > math.log(2)
            new = lost & (why == "")
            why[new] = [f"{name} {value:.2f}" for value in values[new]]
    return why


def _lacking_points(run: RunFolder, needed: int) -> str | None:
    count = len(run.curve("train/generator_loss")[0])
    return None if count >= needed else f"{needed} recorded points, has {count}"


def _lacking_evaluations(run: RunFolder, needed: int) -> str | None:
    if run.validation_name(_quality_name(run)) and not run.floors:
        lost = f"{run.floors_file.name}, which is lost: testing the run again writes it"
        return "fewer validation images than training images" if run.floors_file.is_file() else lost
    count = len(_quality(run)[0])
    validations = f"{needed} validation{'s' if needed > 1 else ''}"
    if not any(name.startswith("val/") for name in run.curves):
        return f"{validations}, has none: see trainer.check_val_every_n_epoch and data.val_size"
    return None if count >= needed else f"{validations} with metric=[precision_recall] or [mixture], has {count}"


DIAGNOSES: dict[str, tuple[Callable[[RunFolder], LabelPeriod | None], Callable[[RunFolder], str | None]]] = {
    "discriminator saturation": (saturation, partial(_lacking_points, needed=POINTS)),
    "poor samples": (poor_samples, partial(_lacking_evaluations, needed=1)),
    "mode collapse": (collapse, partial(_lacking_evaluations, needed=EVALUATIONS)),
    "divergence": (divergence, partial(_lacking_points, needed=POINTS)),
    "oscillation": (oscillation, partial(_lacking_points, needed=SWING_POINTS)),
}
"""Each label's definition, whose docstring says it to a reader, and what a run lacks to be judged; None if nothing."""


def definition_of(label: str) -> str:
    """A label's definition in words; "" for one that is none of ``DIAGNOSES``."""
    return " ".join((inspect.getdoc(DIAGNOSES[label][0]) or "").split()) if label in DIAGNOSES else ""


def _windows(values: Values) -> NDArray[Any]:
    return sliding_window_view(values, POINTS)


def _true_ranges(values: NDArray[numpy.bool_]) -> list[tuple[int, int]]:
    """The ranges of consecutive true values, as half-open intervals of indices."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate(([0], values.astype(int), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
