"""The command study.py: make the missing runs, analyse what is there, and publish it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from gans.config.command_line import OF_LAUNCHER
from gans.config.schema import StudyOptions
from gans.config.shell import command_words, hydra_overrides, option_of
from gans.config.validate import check_options
from gans.errors import InputError
from gans.files import require_writable
from gans.study.allocate import runs_that_count
from gans.study.analyse import StudyResult, analyse
from gans.study.define import FigureOptions, StudyDefinition
from gans.study.existing import existing_study, without
from gans.study.find import Runs, different_spacings
from gans.study.make_runs import run_missing
from gans.study.page import Commands
from gans.study.plan import PlannedRun, Planner
from gans.study.publish import publish
from gans.study.record import read_records

FEW = 6
"""How many missing runs a warning names."""
OF_STUDIES, OF_EXISTING_RUNS = ("seeds", "budget"), ("by", "baseline", "allow_differences")
"""Options of study.py that have an effect with study=... only, and without it only."""


def ask(options: dict[str, Any], name: str | None, hydra: Any = None) -> Path:
    """Answer the question of a study, or of runs that exist.

    Args:
        name: the study's; None for runs that exist.
        hydra: Hydra's own config, whose launcher makes the missing runs.

    Returns:
        The path of the page; that of the study's folder if no run is over yet and SLURM goes on with them.

    Raises:
        InputError: after publishing, if runs could not be made. A run that ended with a non-finite value is made.
    """
    checked = check_options(StudyOptions, options)
    figures = [check_options(FigureOptions, each if isinstance(each, dict) else {"name": each})
               for each in checked.figures or []]  # fmt: skip
    refuse_ignored(checked, OF_STUDIES if name is None else OF_EXISTING_RUNS)
    if name is None or not checked.run:
        refuse_launcher(hydra.overrides.hydra if hydra else [])
    require_writable(Path(checked.output))
    if name is None:
        return compare_existing(checked, figures)
    definition, planner = planned(options, checked, name)
    tried, go_on = run_missing(definition, planner, checked, name, hydra) if checked.run else (set(), "")
    runs = Runs(checked.runs)
    plans = runs_that_count(definition, planner, runs)
    existing = runs.counted(plans)
    records, warnings = read_records(existing, definition.merits)
    warnings += [f"left out: {line}" for line in runs.damaged]
    if not records and go_on:  # which has said so
        return Path(checked.output) / name
    if not records:
        why = why_none(bool(existing), checked.run, tried)
        raise InputError(without(f"no run of this study can be used: {why}", warnings))
    spacings = different_spacings([run for run, _ in existing], definition.merits)
    warnings += [*planner.warnings, *spacings, *runs.of_other_code(plans), *twins(plans, runs)]
    result = analyse(definition, records, [*warnings, *missing_runs(plans, definition.seeds, runs)])
    page = publish(result, Path(checked.output) / name, commands_of(result, planner, checked))
    failed = sorted(f"{plan.arm}, seed {plan.seed}" for plan in tried if not runs.of(plan))
    if failed and not go_on:
        raise InputError(f"could not be made, for the reasons above: {some_of(failed)}. The page is of the others")
    return page


def planned(options: dict[str, Any], checked: StudyOptions, name: str) -> tuple[StudyDefinition, Planner]:
    """The study with what the command changes of it, and its runs; an InputError that names the study."""
    own_figures = {"figures": as_in_study(options["figures"], options["study"])} if checked.figures else {}
    own_seeds = {} if checked.seeds is None else {"seeds": checked.seeds}
    try:
        definition = check_options(StudyDefinition, options["study"] | own_figures).model_copy(update=own_seeds)
        return definition, Planner(definition)
    except InputError as error:
        raise InputError(f"study={name}: {error}") from error


def as_in_study(figures: Sequence[Any], study: Mapping[str, Any]) -> list[Any]:
    """Figures, of which those that are named alone have the scale and the smallest difference of the study's file."""
    own = {each["name"]: each for each in study.get("figures") or [] if isinstance(each, dict) and "name" in each}
    return [own.get(each, each) if isinstance(each, str) else each for each in figures]


def why_none(over: bool, run: bool, tried: set[PlannedRun]) -> str:
    """Why a study has no run to analyse, and what to do.

    Args:
        over: whether runs are over, which are then damaged.
        run: whether missing runs are made.
        tried: the runs that were.
    """
    if over:
        return "each is damaged"
    if not run:
        return "leave run=false out to make them"
    return "each has failed for the reason above" if tried else "none was made"


def refuse_ignored(options: StudyOptions, names: Sequence[str]) -> None:
    """Refuse options of study.py that would have no effect."""
    for name in names:
        value, default = getattr(options, name), False if name == "allow_differences" else None
        if value is not default:
            instead = ("with study=... only: add study=<name>, or leave it out" if name in OF_STUDIES
                       else "without study=... only: leave one of the two out")  # fmt: skip
            raise InputError(f"{name}={value} has an effect {instead}")
    if options.budget is not None and not options.run:
        raise InputError(f"budget={options.budget} is of runs to make, and run=false makes none: leave one of them out")


def refuse_launcher(overrides: Sequence[str]) -> None:
    """Refuse settings of what makes the runs, where none are made."""
    if given := of_launcher(overrides):
        raise InputError(f"{given[0]} says what makes the runs of a study, and none are made here: leave it out")


def of_launcher(overrides: Sequence[str]) -> list[str]:
    """Those of Hydra's overrides that say what makes runs."""
    return [text for text in overrides if option_of(text).startswith(OF_LAUNCHER)]


def missing_runs(plans: Sequence[PlannedRun], first_seeds: int, runs: Runs) -> list[str]:
    """A warning that names runs of the first seeds, or begun ones, that are not over; none if all are."""
    expected = [plan for plan in plans if plan.seed < first_seeds or runs.begun(plan)]
    missing = [f"{plan.arm}, seed {plan.seed}" for plan in expected if not runs.of(plan)]
    count = f"{len(missing)} runs are" if len(missing) > 1 else "1 run is"
    return [f"{count} missing: {some_of(missing)}"] if missing else []


def twins(plans: Sequence[PlannedRun], runs: Runs) -> list[str]:
    """A warning that names runs that do not count, since another with the same settings does; none if all count."""
    over = [found for plan in plans if (found := runs.over(plan))]
    others = [f"'{other.path}' has those of '{first.path}'" for first, *others in over for other in others]
    return [f"left out, since of runs with the same settings one counts: {some_of(others)}"] if others else []


def some_of(names: Sequence[str]) -> str:
    return "; ".join([*names[:FEW], *(["..."] if len(names) > FEW else [])])


def compare_existing(options: StudyOptions, figures: Sequence[FigureOptions]) -> Path:
    if options.by is None:
        raise InputError(
            "say what to ask: study=<name>, one of the files in conf/study/, or runs=[...] by=stabilize for runs that "
            "exist"
        )
    definition, records, warnings = existing_study(
        options.runs, options.by, options.baseline, figures, options.allow_differences
    )
    folder = Path(options.output) / f"by_{options.by}"
    return publish(analyse(definition, records, warnings), folder, Commands(this_command()))


def commands_of(result: StudyResult, planner: Planner, options: StudyOptions) -> Commands:
    definition = result.definition
    train = ["python", *command_words("train.py")]
    folder = hydra_overrides({"runs": options.runs[0]} if options.runs[0] != "runs" else {})
    return Commands(
        this_command(),
        this_command(seeds=seeds_that_decide(result) or 2 * seeds_so_far(result)),
        {arm: shlex.join([*train, *planner.plan(arm, 0).overrides, *folder]) for arm in definition.all_arms},
    )


def seeds_so_far(result: StudyResult) -> int:
    """The study's number of seeds, or that of the arm with most if it has more."""
    return max(result.definition.seeds, *(len(result.of_arm(arm)) for arm in result.definition.all_arms))


def seeds_that_decide(result: StudyResult) -> int | None:
    """About how many seeds of each arm would decide every undecided claim that can be decided; None if none can."""
    undecided = [judged.parts for judged in result.claims if judged.judgement == "undecided"]
    needed = [[found.seeds_needed for _, found, state in parts if state == "undecided"] for parts in undecided]
    seeds = [each for of_claim in needed if None not in of_claim for each in of_claim if each is not None]
    return max((each for each in seeds if each > seeds_so_far(result)), default=None)


def this_command(**changes: Any) -> str:
    """The present command with other values, to paste into a shell; without those that say how much to run."""
    given = HydraConfig.get().overrides if HydraConfig.initialized() else None
    kept = [text for text in given.task if option_of(text) not in ("budget", "run", *changes)] if given else []
    launcher = of_launcher(given.hydra) if given else []
    return shlex.join(["python", *command_words("study.py"), *kept, *hydra_overrides(changes), *launcher])
