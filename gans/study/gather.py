"""The records of a study's runs, from the runs that exist."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gans.config.resolve import flatten
from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.run.identity import result_settings
from gans.study.define import FigureOptions, StudyDefinition
from gans.study.figures_of_merit import KNOWN, FigureOfMerit, figure_of_merit
from gans.study.members import PlannedRun, Runs, run_folders, split_differences
from gans.study.record import RunRecord, is_over, read_record

FEW = 6
"""How many figures are chosen of runs that exist if none are named, and how many differences are named."""


def read_planned(
    plans: Sequence[PlannedRun], runs: Runs, figures: Sequence[FigureOfMerit]
) -> tuple[list[RunRecord], list[str]]:
    """The records of the planned runs that are over, and a warning for each damaged one."""
    records, warnings = [], []
    for plan in plans:
        run = runs.of(plan)
        if run is None:
            continue
        try:
            records.append(read_record(run, plan.arm, figures))
        except InputError as error:
            warnings.append(f"left out: {plan.arm}, seed {plan.seed}: {error}")
    return records, warnings


def existing_study(
    patterns: Sequence[str],
    by: str,
    baseline: Any,
    figures: Sequence[FigureOptions],
    allow_differences: bool,
) -> tuple[StudyDefinition, list[RunRecord], list[str]]:
    """A study of runs that exist: their arms are the values of an option or the choices of a group.

    Args:
        by: ``stabilize``, ``model``, ``data.digits``, ``model.generator_optimizer.lr``, ...
        baseline: an arm's value; None for ``none`` where it exists, else the first.
        allow_differences: warn of settings that differ besides the arms' and the seed, instead of refusing them.

    Raises:
        InputError: if there are fewer than two arms or two seeds, or for settings that differ.
    """
    warnings: list[str] = []
    found: list[tuple[RunFolder, str]] = []
    settings: list[dict[str, Any]] = []
    inside: list[dict[str, Any]] = []
    for run in run_folders(patterns):
        try:
            options = result_settings(run.config) if is_over(run) else None
        except InputError as error:
            warnings.append(f"left out: {error}")
            continue
        if options is not None:
            found.append((run, label_of(options, by, run)))
            settings.append(_others(options, by))
            inside.append(_inside(options, by))
    if not found:
        raise InputError(f"runs={','.join(patterns)}: there is no finished run")
    labels = sorted({label for _, label in found})
    if len(labels) < 2:
        differing = differing_names(inside) or differing_names(settings)
        hint = (
            f"they differ in {', '.join(differing[:FEW])}: use by={differing[0]}" if differing else "nothing to compare"
        )
        raise InputError(f"by={by}: all runs are of the same kind, {labels[0]}; {hint}")
    warnings += differences(settings, [run for run, _ in found], by, allow_differences)
    for name in labels:  # an arm is one setting, not several of the same name
        numbers = [number for number, (_, own) in enumerate(found) if own == name]
        of_arm, runs_of_arm = [inside[number] for number in numbers], [found[number][0] for number in numbers]
        warnings += differences(of_arm, runs_of_arm, by, allow_differences)
    others = split_differences({label: run.config for run, label in found})
    if others and not allow_differences:
        raise InputError(f"{others[0]}. If that is meant, add allow_differences=true, which puts a warning on the page")
    warnings += others
    chosen = list(figures) or [FigureOptions(name=name) for name in figures_in(found[0][0])]
    definition = StudyDefinition(
        question=f"Which {by} is best?",
        arms={label: [f"{by}={label}"] for label in labels},
        baseline=arm_name(baseline) if baseline is not None else "none" if "none" in labels else labels[0],
        figures=chosen,
    )
    records = []
    for run, label in found:
        try:
            records.append(read_record(run, label, definition.merits))
        except InputError as error:
            warnings.append(f"left out: {error}")
    if len({record.seed for record in records}) < 2:
        raise InputError("all runs have the same seed: one seed shows no difference between arms. Train more seeds")
    return definition, records, warnings


def label_of(options: Mapping[str, Any], by: str, run: RunFolder) -> str:
    """The name of a run's arm: the choices of a group with several, the class of a group with one, or a value.

    A model is named after its generator's class.
    """
    value: Any = options
    for part in by.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise InputError(f"by={by}: '{run.path}' has no such option. Choose a group or an option of train.py")
        value = value[part]
    return arm_name(value)


def arm_name(value: Any) -> str:
    """An option's value as the name of an arm."""
    if isinstance(value, Mapping) and "_target_" in value:
        named = value["generator"] if isinstance(value.get("generator"), Mapping) else value
        return str(named["_target_"]).rpartition(".")[2]
    if isinstance(value, Mapping):
        return "+".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def differing_names(settings: Sequence[dict[str, Any]]) -> list[str]:
    """The options, or groups, in which runs differ."""
    names = sorted({name for each in settings for name in each if len({one.get(name) for one in settings}) > 1})
    return list(dict.fromkeys(name.removesuffix("._target_") for name in names))


def differences(settings: Sequence[dict[str, Any]], runs: Sequence[RunFolder], by: str, allowed: bool) -> list[str]:
    """A warning for each option that differs among runs; an InputError if that is not allowed."""
    names = sorted({name for each in settings for name in each})
    warnings = []
    for name in names:
        values = {json.dumps(each.get(name)): run for each, run in zip(settings, runs, strict=True)}
        if len(values) == 1:
            continue
        (one, first), (two, second), *_ = values.items()
        text = f"{name} is {one} in '{first.path}' and {two} in '{second.path}'"
        if not allowed:
            raise InputError(
                f"{text}: runs that differ in more than {by} and seed can't tell what makes the difference. Leave some "
                "out, or add allow_differences=true, which puts a warning on the page"
            )
        warnings.append(text)
    return warnings


def figures_in(run: RunFolder) -> list[str]:
    """The first known figures of quality that a run has."""
    record = read_record(run, "", [figure_of_merit(name) for name in KNOWN if name != "seconds"])
    return [name for name, value in record.figures.items() if math.isfinite(value)][:FEW]


def _inside(options: Mapping[str, Any], by: str) -> dict[str, Any]:
    """The flat settings of the arms themselves, without those of other options."""
    return {name: value for name, value in flatten(options).items() if name == by or name.startswith(f"{by}.")}


def _others(options: dict[str, Any], by: str) -> dict[str, Any]:
    """The flat settings without the arms' and the seed."""
    flat = flatten(options)
    return {name: value for name, value in flat.items()
            if name not in ("seed", by) and not name.startswith(f"{by}.")}  # fmt: skip
