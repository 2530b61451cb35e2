"""Analysis of a study: every arm against the baseline, the claims, and what went wrong how often."""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from gans.config.validate import foreign_targets, targets_of
from gans.data.class_names import listed
from gans.errors import InputError
from gans.metrics.name import MetricName
from gans.run.folder import RunFolder
from gans.run.identity import result_settings
from gans.run.test_results import read_results
from gans.study.claims import JudgedClaim, judge_claims
from gans.study.compare import Comparison, compare
from gans.study.define import ClaimPart, StudyDefinition
from gans.study.figures_of_merit import FigureOfMerit
from gans.study.plan import OF_TRAINING
from gans.study.record import RunRecord, of_real_images
from gans.study.statistics import LEVEL, e_benjamini_hochberg, mcnemar

OF_CHOICE = (*OF_TRAINING, "classes", "invert", "val_size", "split_seed")
"""Data options that say which of a source's images a run uses, and how."""
ENDED, ROLLED_BACK = "ended by a value that is not finite", "rolled back after a value that is not finite"


@dataclass(frozen=True)
class Trouble:
    """How often a diagnosis was made in an arm."""

    label: str
    count: int
    runs: int
    first_steps: tuple[int, ...]
    """The first training step of each."""
    p_value: float
    """Of the exact McNemar test against the baseline, over the seeds in which both could be judged; NaN for the
    baseline, and without such seeds."""
    not_judged: int = 0
    """The number of runs that lack what it takes to tell."""


@dataclass(frozen=True)
class StudyResult:
    definition: StudyDefinition
    comparisons: dict[str, dict[str, Comparison]]
    """Arm, other than the baseline -> figure -> comparison with the baseline."""
    discoveries: set[tuple[str, str]]
    """(arm, figure) whose difference e-BH reports: a false discovery rate of 5 % within each figure."""
    claims: list[JudgedClaim]
    records: list[RunRecord] = field(default_factory=list)
    """In the order of the arms, then of the seeds."""
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    """By arm, the diagnoses that any arm has."""
    protocols: dict[str, str] = field(default_factory=dict)
    """The full name of each figure that a metric computed."""
    warnings: list[str] = field(default_factory=list)

    def of_arm(self, arm: str) -> list[RunRecord]:
        return [record for record in self.records if record.arm == arm]

    def values(self, arm: str, figure: str) -> dict[int, float]:
        """A figure by seed; NaN where a run lacks it."""
        return {record.seed: record.figures[figure] for record in self.of_arm(arm)}


def analyse(definition: StudyDefinition, records: Sequence[RunRecord], warnings: Sequence[str] = ()) -> StudyResult:
    """Compare, judge and count.

    Raises:
        InputError: for a figure that no run has, or none on its scale, runs whose figures have different protocols, or
            a run that is there twice.
    """
    order = list(definition.all_arms)
    records = sorted(records, key=lambda record: (order.index(record.arm), record.seed))
    protocols = common_protocols(records)
    require_single(records)
    require_figures(definition.merits, records)
    require_places(definition.merits, records)
    by_arm = {arm: [record for record in records if record.arm == arm] for arm in order}
    values = {
        arm: {merit.name: {each.seed: each.figures[merit.name] for each in by_arm[arm]} for merit in definition.merits}
        for arm in order
    }
    return replace(
        compare_values(definition, values),
        records=records,
        troubles=count_troubles(by_arm, definition.baseline),
        protocols=protocols,
        warnings=[
            *warnings,
            *off_scale(definition.merits, records),
            *other_images(records),
            *other_code(records),
            *other_features(records),
        ],
    )


Values = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Arm -> figure -> seed -> value, NaN where a run lacks it."""


def compare_values(definition: StudyDefinition, values: Values) -> StudyResult:
    """The comparisons and the claims of a study, from its figures alone. A value off its scale counts as missing."""
    merits = {merit.name: merit for merit in definition.merits}

    def on_scale(arm: str, figure: str) -> dict[int, float]:
        has_place = merits[figure].has_place_for
        return {seed: value if has_place(value) else math.nan for seed, value in values[arm][figure].items()}

    def compare_arms(arm: str, than: str | float, figure: str, level: float = LEVEL) -> Comparison:
        found = on_scale(arm, figure)
        reference = on_scale(than, figure) if isinstance(than, str) else than
        return compare(found, reference, merits[figure], level=level)

    def compare_part(part: ClaimPart, level: float) -> Comparison:
        return compare_arms(part.arm, definition.compared_with(part), part.figure, level)

    comparisons = {arm: {figure: compare_arms(arm, definition.baseline, figure) for figure in merits}
                   for arm in definition.all_arms if arm != definition.baseline}  # fmt: skip
    return StudyResult(
        definition,
        comparisons,
        discoveries_in(comparisons, list(merits)),
        judge_claims(definition.claims, compare_part),
    )


def discoveries_in(comparisons: dict[str, dict[str, Comparison]], figures: Sequence[str]) -> set[tuple[str, str]]:
    """The (arm, figure) whose difference e-BH reports: each figure is a family of its own."""
    found = set()
    for figure in figures:
        reported = e_benjamini_hochberg([of_arm[figure].evidence for of_arm in comparisons.values()])
        found |= {(arm, figure) for arm, is_found in zip(comparisons, reported, strict=True) if is_found}
    return found


def count_troubles(by_arm: dict[str, list[RunRecord]], baseline: str) -> dict[str, list[Trouble]]:
    """For each arm how often each diagnosis was made, of those that any run has, or could not be judged for."""
    open_questions = {record.run.path: {*record.not_judged} for records in by_arm.values() for record in records}
    seen = {record.run.path: troubles_of(record) for records in by_arm.values() for record in records}
    labels = sorted({label for found in (*seen.values(), *open_questions.values()) for label in found})
    reference = {record.seed: record.run.path for record in by_arm[baseline]}
    counted: dict[str, list[Trouble]] = {}
    for arm, records in by_arm.items():
        counted[arm] = []
        for label in labels:
            steps = tuple(seen[record.run.path][label] for record in records if label in seen[record.run.path])
            both = [(record.run.path, reference[record.seed]) for record in records if record.seed in reference]
            pairs = [(label in seen[own], label in seen[other]) for own, other in both
                     if label not in open_questions[own] | open_questions[other]]  # fmt: skip
            unknown = sum(label in open_questions[record.run.path] for record in records)
            p_value = math.nan if arm == baseline else mcnemar([one for one, _ in pairs], [two for _, two in pairs])
            counted[arm].append(Trouble(label, len(steps), len(records), steps, p_value, unknown))
    return counted


def troubles_of(record: RunRecord) -> dict[str, int]:
    """The first step of each diagnosis; a run that a value ended, or that was rolled back, has one more."""
    history = record.run.history
    failure = history.failure if record.state == "failed" else None
    rolled_back = [event for event in history.events if event["event"] == "rolled back"]
    steps = [event.get("training_step", event["to_step"]) for event in rolled_back]  # earlier versions have no first
    ended = {ENDED: failure[0]} if failure else {}
    return record.diagnoses | ended | ({ROLLED_BACK: steps[0]} if steps else {})


def common_protocols(records: Sequence[RunRecord]) -> dict[str, str]:
    """The full name of each figure, which must be the same in all runs of an arm; arms may use other samples."""
    first: dict[tuple[str, str], tuple[str, RunRecord]] = {}
    names: dict[str, dict[str, None]] = {}
    for record in records:
        for figure, full in record.protocols.items():
            names.setdefault(figure, {})[full] = None
            for scope, name in ((record.arm, full), ("", of_real_images(full))):
                before, other = first.setdefault((figure, scope), (name, record))
                if before != name:
                    raise InputError(
                        f"{figure} was computed in different ways: {before} in '{other.run.path}', {name} in "
                        f"'{record.run.path}'. Test them again with the same options, leave some out, or where their "
                        "data differ name other figures"
                    )
    return {figure: " or ".join(of_arms) for figure, of_arms in names.items()}


def require_single(records: Sequence[RunRecord]) -> None:
    """Refuse two runs of the same arm and seed, of records in order."""
    for one, other in pairwise(records):
        if (one.arm, one.seed) == (other.arm, other.seed):
            raise InputError(
                f"arm '{one.arm}' has seed {one.seed} twice: '{one.run.path}' and '{other.run.path}'. Leave one out"
            )


def require_figures(merits: Sequence[FigureOfMerit], records: Sequence[RunRecord]) -> None:
    """Refuse a figure that no finished run has."""
    finished = [record for record in records if record.state == "finished"]
    for merit in merits:
        if finished and not values_in(finished, merit):
            figure, at, _ = merit.name.partition("@")
            of_validations = [f"{figure}@{step:.0f}" for step in finished[0].run.validations(figure)[0]] if at else []
            needs_more = merit.depends_on_length and not of_validations
            why = ", for which they may be too short, or have no validation that computes it" if needs_more else ""
            others = of_validations or tested_figures(finished[0].run)
            raise InputError(
                f"no run has the figure '{merit.name}'{why}: leave it out of figures and claims, or choose from "
                f"{listed(others)}"
            )


def require_places(merits: Sequence[FigureOfMerit], records: Sequence[RunRecord]) -> None:
    """Refuse a figure of which no finished run has a value on its scale."""
    finished = [record for record in records if record.state == "finished"]
    for merit in merits:
        values = values_in(finished, merit)
        if values and not any(map(merit.has_place_for, values)):
            raise InputError(off_scale([merit], finished)[0])


def values_in(records: Sequence[RunRecord], merit: FigureOfMerit) -> list[float]:
    """A figure's values of those runs that have it."""
    return [value for record in records if not math.isnan(value := record.figures[merit.name])]


def off_scale(merits: Sequence[FigureOfMerit], records: Sequence[RunRecord]) -> list[str]:
    """A warning for each value that has no place on its figure's scale, such as 0 among ratios."""
    return [
        f"{merit.name} is {record.figures[merit.name]:.4g} in '{record.run.path}', which has no place on "
        f"scale={merit.scale}, so its pairs are left out: give it another, such as {{name: {merit.name}, scale: "
        f"difference, better: {merit.better}, matters: 0.1}}"
        for merit in merits
        for record in records
        if not merit.has_place_for(record.figures[merit.name])
    ]


def other_images(records: Sequence[RunRecord]) -> list[str]:
    """A warning for each data set whose images have changed between two runs."""
    of_data = []
    for run in (record.run for record in records):
        which = {name: option for name, option in run.config["data"].items() if name not in OF_CHOICE}
        options = json.dumps(which, sort_keys=True)
        of_data += [(options, part, own, run) for part, own in enumerate(run.history.images)]  # of training and of test
    where = changes(of_data)
    return [f"the images changed between {both}, which may be what makes a difference" for both in where.values()]


def other_code(records: Sequence[RunRecord]) -> list[str]:
    """A warning for each class of the user's own whose code has changed between two runs."""
    of_classes = [
        (", ".join(own) or "gans", 0 if own else tuple(sorted(targets_of(settings))), run.history.own_code, run)
        for run, settings in ((record.run, result_settings(record.run.config)) for record in records)
        for own in [sorted(foreign_targets(settings))]
    ]
    return [
        f"the code of {classes} changed between {both}, which may be what differs: make them anew"
        for classes, both in changes(of_classes).items()
    ]


def other_features(records: Sequence[RunRecord]) -> list[str]:
    """A warning for each feature network that has changed between the tests of two runs."""
    of_names = [
        (parsed.features, "@" in figure, record.networks[figure], record.run)
        for record in records
        for figure, full in record.protocols.items()
        if record.run.history.images[0]  # not of points, whose features are not learnt
        if (parsed := MetricName.parse(full)) and parsed.features
    ]
    return [
        f"the feature network {name} changed between {both}, so that their figures can't be compared: test the runs of "
        "the old one again with train.py test=..., and compare no figures of validations"
        for name, both in changes(of_names).items()
    ]


def changes(found: Iterable[tuple[str, Hashable, Any, RunFolder]]) -> dict[str, str]:
    """For each name the first two runs whose values of one of its parts differ; empty values are not known.

    Args:
        found: name, part, value, and the run that has it.
    """
    first: dict[tuple[str, Hashable], tuple[Any, RunFolder]] = {}
    changed: dict[str, str] = {}
    for name, part, value, run in found:
        if value:
            known, before = first.setdefault((name, part), (value, run))
            if known != value:
                changed.setdefault(name, f"'{before.path}' and '{run.path}'")
    return changed


def tested_figures(run: RunFolder) -> list[str]:
    """The figures of a finished run's test."""
    results = read_results(run.test_results_file).checkpoints["last"].results
    names = [(MetricName.parse(name), name) for name in results]
    return sorted(parsed.figure if parsed else name for parsed, name in names)
