"""A study of runs that exist, of whatever origin: their arms are the values of an option."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gans.config.explain import suggestion
from gans.config.resolve import flatten
from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.run.identity import WITHOUT_EFFECT, result_settings, with_whole_numbers
from gans.study.define import FigureOptions, StudyDefinition
from gans.study.figures_of_merit import figure_of_merit
from gans.study.find import different_spacings, run_folders
from gans.study.known_figures import KNOWN
from gans.study.plan import split_differences
from gans.study.record import RunRecord, is_over, read_records

FEW = 6
"""How many figures are chosen of runs that exist if none are named, and how many differences are named."""


@dataclass(frozen=True)
class ExistingRun:
    run: RunFolder
    arm: str
    of_arm: dict[str, Any]
    """The flat settings of the option that tells the arms apart."""
    others: dict[str, Any]
    """All other flat settings but the seed."""


def existing_study(
    patterns: Sequence[str],
    by: str,
    baseline: Any,
    figures: Sequence[FigureOptions],
    allow_differences: bool,
) -> tuple[StudyDefinition, list[RunRecord], list[str]]:
    """A study of runs that exist, the records of its runs, and warnings.

    Args:
        by: what tells the arms apart: ``stabilize``, ``model``, ``data.classes``, ``model.generator_optimizer.lr``, ...
        baseline: an arm's value; None for ``none`` where it exists, else the first.
        allow_differences: warn of settings that differ besides the arms' and the seed, instead of refusing them.

    Raises:
        InputError: if there are fewer than two arms or two seeds, or for settings that differ.
    """
    if by == "seed":
        raise InputError("by=seed: seeds repeat what is compared. Name the option in which the runs differ")
    found, damaged = finished_runs(patterns, by)
    arms = arms_of(found, by, damaged)
    different = [*differences_among(found, arms), *split_differences({each.arm: each.run.config for each in found})]
    if different and not allow_differences:
        raise InputError(
            f"{different[0]}: runs that differ in more than {by} and seed can't tell what makes the difference. Leave "
            "some out, or add allow_differences=true, which puts a warning on the page"
        )
    definition = StudyDefinition(
        question=f"Which {by} is best?",
        arms={arm: [f"{by}={arm}"] for arm in arms},
        baseline=arm_name(with_whole_numbers(baseline)) if baseline is not None else default_baseline(arms),
        figures=list(figures) or [FigureOptions(name=name) for name in figures_in(found)],
    )
    records, unread = read_records([(each.run, each.arm) for each in found], definition.merits)
    if len({record.seed for record in records}) < 2:
        same = "all runs have the same seed: one seed shows no difference between arms. Train more seeds"
        raise InputError(without(same, [*damaged, *unread]))
    alone = without_partner(records, definition.baseline, [*damaged, *unread])
    spacings = different_spacings([each.run for each in found], definition.merits)
    return definition, records, [*damaged, *different, *spacings, *unread, *alone]


def without_partner(records: Sequence[RunRecord], baseline: str, left_out: Sequence[str]) -> list[str]:
    """A warning for each arm that lacks seeds of the baseline, or has others; an InputError if no arm has a pair."""
    seeds: dict[str, set[int]] = {baseline: set()}
    for record in records:
        seeds.setdefault(record.arm, set()).add(record.seed)
    reference = seeds.pop(baseline)
    if reference.isdisjoint(set().union(*seeds.values())):
        none = (
            f"no arm has a seed of the baseline '{baseline}', which has {some_seeds(reference)}: runs are compared in "
            "pairs of the same seed. Train these seeds, or choose another baseline="
        )
        raise InputError(without(none, left_out))
    return [
        f"no pair of '{arm}' and '{baseline}' has seed {some_seeds(only)}, which one of the two lacks"
        for arm, own in seeds.items()
        if (only := own ^ reference)
    ]


def some_seeds(seeds: Collection[int]) -> str:
    return ", ".join([*map(str, sorted(seeds)[:FEW]), *(["..."] if len(seeds) > FEW else [])]) or "none"


def default_baseline(arms: Sequence[str]) -> str:
    return "none" if "none" in arms else arms[0]


def finished_runs(patterns: Sequence[str], by: str) -> tuple[list[ExistingRun], list[str]]:
    """The runs that are over, and a warning for each whose config is damaged."""
    found, warnings = [], []
    for run in run_folders(patterns):
        try:
            options = result_settings(run.config) if is_over(run) else None
        except InputError as error:
            warnings.append(f"left out: {error}")
            continue
        if options is not None:
            arm = label_of(options, by, run)
            flat = {name: value for name, value in flatten(options).items() if name != "seed"}
            of_arm = {name: value for name, value in flat.items() if name == by or name.startswith(f"{by}.")}
            others = {name: value for name, value in flat.items() if name not in of_arm}
            found.append(ExistingRun(run, arm, of_arm, others))
    if not found:
        raise InputError(without(f"runs={','.join(patterns)}: there is no finished run", warnings))
    return found, warnings


def without(message: str, left_out: Sequence[str]) -> str:
    """What a study lacks, and which damaged runs it had to leave out."""
    return "; ".join([message, *left_out])


def arms_of(found: Sequence[ExistingRun], by: str, left_out: Sequence[str] = ()) -> list[str]:
    """The names of the arms, of which there must be two; else says in which option the runs do differ."""
    arms = sorted({each.arm for each in found}, key=by_number)
    if len(arms) < 2:
        names = differing_names([each.of_arm for each in found]) or differing_names([each.others for each in found])
        hint = f"they differ in {', '.join(names[:FEW])}: use by={names[0]}" if names else "nothing to compare"
        raise InputError(without(f"by={by}: all runs are of the same kind, {arms[0]}; {hint}", left_out))
    return arms


def by_number(arm: str) -> tuple[bool, float, str]:
    """A key that sorts numbers by their value, before other names."""
    try:
        return False, float(arm), arm
    except ValueError:
        return True, 0.0, arm


def differences_among(found: Sequence[ExistingRun], arms: Sequence[str]) -> list[str]:
    """A line for each setting that differs among all runs besides the arms', or within an arm."""
    lines = differences([(each.run, each.others) for each in found])
    for arm in arms:  # an arm is one setting, not several of the same name
        lines += differences([(each.run, each.of_arm) for each in found if each.arm == arm])
    return lines


def label_of(options: Mapping[str, Any], by: str, run: RunFolder) -> str:
    """The name of a run's arm: the choices of a group with several, the class of a group with one, or a value.

    A model is named after its generator's class.
    """
    value: Any = options
    for part in by.split("."):
        if not isinstance(value, Mapping) or part not in value:
            if by.partition(".")[0] in WITHOUT_EFFECT:
                raise InputError(f"by={by}: it does not change what a run finds, so it tells no arms apart")
            raise InputError(
                f"by={by}: '{run.path}' has no such option{suggestion(by, option_names(options))}: choose "
                "one that it has"
            )
        value = value[part]
    return arm_name(value)


def option_names(options: Mapping[str, Any]) -> list[str]:
    """The options and the groups of options, dotted."""
    names = [name.split(".") for name in flatten(dict(options))]
    return sorted({*options, *(".".join(parts[:length]) for parts in names for length in range(1, len(parts) + 1))})


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


def differences(settings: Sequence[tuple[RunFolder, dict[str, Any]]]) -> list[str]:
    """A line for each option that differs among runs, with two of them."""
    lines = []
    for name in sorted({name for _, each in settings for name in each}):
        values = {json.dumps(each.get(name)): run for run, each in settings}
        if len(values) > 1:
            (one, first), (two, second), *_ = values.items()
            lines.append(f"{name} is {one} in '{first.path}' and {two} in '{second.path}'")
    return lines


def figures_in(found: Sequence[ExistingRun]) -> list[str]:
    """The first known figures of quality that some run has, and that have a place on their scale in all.

    Raises:
        InputError: if there is none.
    """
    merits = [figure_of_merit(name) for name, known in KNOWN.items() if known.scale and name != "seconds"]
    records, unread = read_records([(each.run, each.arm) for each in found], merits)
    values = {merit: [record.figures[merit.name] for record in records] for merit in merits}
    names = [merit.name for merit, of_runs in values.items()
             if any(map(math.isfinite, of_runs)) and all(map(merit.has_place_for, of_runs))]  # fmt: skip
    if not names:
        why = "each has failed, or its test has no metrics"
        raise InputError(without(f"no run has a figure to compare: {why}", unread))
    return names[:FEW]
