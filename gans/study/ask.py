"""The command study.py: run what is missing, analyse what is there, and write tables, figures and the page."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from hydra.core.hydra_config import HydraConfig
from rich.console import Console
from rich.table import Table

from gans.config.schema import StudyOptions
from gans.config.validate import check_options
from gans.errors import InputError, command_words, hydra_overrides, hydra_value
from gans.files import write_text
from gans.run.folder import is_run
from gans.study.allocate import next_runs, planned_runs
from gans.study.analyse import StudyResult, analyse
from gans.study.answers import answers
from gans.study.curves import curves_of
from gans.study.define import FigureOptions, StudyDefinition
from gans.study.gather import existing_study, read_planned
from gans.study.members import PlannedRun, Planner, Runs
from gans.study.page import Commands, render
from gans.study.plots import draw_all, save
from gans.study.write import write_tables
from gans.sweep.engine import Engine
from gans.sweep.launch import make_engine, run_members
from gans.sweep.member import Member
from gans.sweep.view import View

LARGE_PAGE = 5_000_000
FEW = 6
"""How many missing runs a warning names."""
MANY = 1000
"""Members for the engine of a study: all its runs get the same number of threads, however few are missing."""
OF_STUDIES, OF_EXISTING_RUNS = ("seeds", "budget"), ("by", "baseline", "allow_differences")
"""Options of study.py that have an effect with study=... only, and without it only."""


def ask(options: dict[str, Any], name: str | None, hydra: Any = None) -> Path:
    """Answer the question of a study, or of runs that exist. Returns the path of the page.

    Args:
        name: the study's; None for runs that exist.
        hydra: Hydra's own config, whose launcher makes the missing runs.
    """
    checked = check_options(StudyOptions, options)
    figures = [check_options(FigureOptions, each if isinstance(each, dict) else {"name": each})
               for each in checked.figures or []]  # fmt: skip
    refuse_ignored(checked, OF_STUDIES if name is None else OF_EXISTING_RUNS)
    if name is None:
        return compare_existing(checked, figures)
    definition = check_options(StudyDefinition, options["study"] | ({"figures": options["figures"]} if figures else {}))
    if checked.seeds is not None:
        definition = definition.model_copy(update={"seeds": checked.seeds})
    planner = Planner(definition)
    if checked.run:
        run_missing(definition, planner, checked, name, hydra)
    runs = Runs(checked.runs)
    records, warnings = read_planned(planned_runs(definition, planner), runs, definition.merits)
    if not records:
        hint = "each has failed for the reason above" if checked.run else "leave run=false out to make them"
        raise InputError(f"no run of this study is finished: {hint}")
    warnings += [*planner.warnings, *(f"left out: {line}" for line in runs.damaged)]
    result = analyse(definition, records, [*warnings, *missing_runs(definition, planner, runs)])
    return publish(result, Path(checked.output) / name, commands_of(definition, planner, checked))


def refuse_ignored(options: StudyOptions, names: Sequence[str]) -> None:
    """Refuse options of study.py that would have no effect."""
    for name in names:
        if value := getattr(options, name):
            kind = "with study=... only" if name in OF_STUDIES else "without study=... only"
            raise InputError(f"{name}={value} has an effect {kind}: leave one of the two out")


def missing_runs(definition: StudyDefinition, planner: Planner, runs: Runs) -> list[str]:
    """A warning that names the first seeds' runs that are not finished; none if all are."""
    missing = [f"{plan.arm}, seed {plan.seed}" for plan in next_runs(definition, planner, None) if not runs.of(plan)]
    shown = [*missing[:FEW], *(["..."] if len(missing) > FEW else [])]
    return [f"{len(missing)} runs are missing: {'; '.join(shown)}"] if missing else []


def compare_existing(options: StudyOptions, figures: Sequence[FigureOptions]) -> Path:
    if options.by is None:
        raise InputError(
            "say what to ask: study=<name>, one of the files in conf/study/, or runs=[...] by=stabilize for runs that "
            "exist"
        )
    definition, records, warnings = existing_study(
        options.runs, options.by, options.baseline, figures, options.allow_differences
    )
    commands = Commands(
        this_command(), this_command(), {arm: f"# {overrides[0]}" for arm, overrides in definition.arms.items()}
    )
    return publish(analyse(definition, records, warnings), Path(options.output) / f"by_{options.by}", commands)


def commands_of(definition: StudyDefinition, planner: Planner, options: StudyOptions) -> Commands:
    most = max(definition.most_seeds, definition.seeds)
    train = ["python", *command_words("train.py")]
    folder = hydra_overrides({"runs": options.runs[0]} if options.runs[0] != "runs" else {})
    return Commands(
        this_command(),
        this_command(seeds=min(2 * definition.seeds, most)),
        {arm: shlex.join([*train, *planner.plan(arm, 0).overrides, *folder]) for arm in definition.all_arms},
    )


def this_command(**changes: Any) -> str:
    """The present command with other values, to paste into a shell; without those that say how much to run."""
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    kept = [text for text in given if text.lstrip("+~").partition("=")[0] not in ("budget", "run", *changes)]
    return shlex.join(["python", *command_words("study.py"), *kept, *hydra_overrides(changes)])


def run_missing(definition: StudyDefinition, planner: Planner, options: StudyOptions, name: str, hydra: Any) -> None:
    """Run what is missing of the study, in rounds, and then, with a budget, more seeds of what is undecided.

    A member that fails is told, and left out; a signal ends the command.
    """
    budget = options.budget
    tried: set[PlannedRun] = set()
    while budget is None or budget > 0:
        runs = Runs(options.runs)
        result = present_result(definition, planner, runs)
        plans = next_runs(definition, planner, result if budget is not None else None)
        missing = [plan for plan in plans if runs.of(plan) is None and plan not in tried]
        if not missing:
            return
        require_folder_for_runs(options.runs[0])
        engine = make_engine(hydra, MANY)
        if budget is not None:  # in rounds, so that what a round has decided gets no more
            is_first = any(plan.seed < definition.seeds for plan in missing)
            missing = missing[: budget if is_first else min(budget, engine.at_once or len(definition.all_arms))]
            budget -= len(missing)
        tried |= {*missing}
        if make_runs(definition, planner, missing, Path(options.output) / name / "members", engine, options.runs):
            return  # members go on


def require_folder_for_runs(name: str) -> None:
    """Refuse what names existing runs as the folder in which new ones are made."""
    if is_run(Path(name)) or ("*" in name and not Path(name).exists()):
        raise InputError(
            f"runs={name}: new runs are made in the first of these, so it has to be a folder of runs: write "
            f"runs=[runs,{hydra_value(name)}], or run=false to make none"
        )


def make_runs(
    definition: StudyDefinition,
    planner: Planner,
    plans: Sequence[PlannedRun],
    folder: Path,
    engine: Engine,
    runs: Sequence[str],
) -> str:
    """What to know of runs that go on without this process; "" if none does."""
    command = [sys.executable, *command_words("train.py")]
    new = hydra_overrides({"runs": runs[0]})
    members = [
        Member(
            f"{plan.arm}, seed {plan.seed}",
            [*command, *plan.overrides, *new],
            folder / f"{plan.arm}-seed{plan.seed}.log".replace(os.sep, "_"),
        )
        for plan in plans
    ]

    def state_of_claims() -> list[str]:
        result = present_result(definition, planner, Runs(runs))
        waiting = [plan.arm for plan, member in zip(plans, members, strict=True) if member.exit_code is None]
        return claim_lines(result, waiting) if result else []

    return run_members(members, engine, StudyView(members, state_of_claims))


class StudyView(View):
    """The members that run, and what the study says so far."""

    def __init__(self, members: Sequence[Member], state: Callable[[], list[str]]) -> None:
        super().__init__(members)
        self.state = state
        self.lines: list[str] = []

    def refresh(self) -> None:
        before = len(self.ended)
        super().refresh()
        if len(self.ended) > before:
            lines = self.state()
            if lines != self.lines:
                self.lines = lines
                print("\n".join(lines), flush=True)


def claim_lines(result: StudyResult, waiting: Sequence[str]) -> list[str]:
    """A line for each claim with its present verdict, and how many of its runs are still to come.

    Args:
        waiting: the arm of each run that has not ended.
    """
    lines = []
    for judged in result.claims:
        arms = {arm for part, _, _ in judged.parts for arm in (part.arm, part.than or result.definition.baseline)}
        lines.append(
            f"so far {judged.judgement}, {sum(arm in arms for arm in waiting)} runs to come: {judged.claim.text}"
        )
    return lines


def present_result(definition: StudyDefinition, planner: Planner, runs: Runs) -> StudyResult | None:
    """The result of the runs that are over; None while there is too little to analyse."""
    records, _ = read_planned(planned_runs(definition, planner), runs, definition.merits)
    try:
        return analyse(definition, records) if records else None
    except InputError:
        return None


def publish(result: StudyResult, folder: Path, commands: Commands) -> Path:
    """Write tables, figures, the page and TensorBoard's links, and print the answers."""
    protocol = protocol_of(result)
    write_tables(result, folder, protocol)
    curves = curves_of(result)
    figures = save(draw_all(result, curves), folder / "figures")
    page = render(result, figures, curves, protocol, commands)
    if len(page) > LARGE_PAGE:
        print(
            f"warning: the page has {len(page) / 1e6:.0f} MB: a smaller study.moments or fewer figures make it smaller",
            file=sys.stderr,
        )
    write_text(folder / "index.html", page)
    link_tensorboard(result, folder / "tensorboard")
    print_answers(result)
    print(f"page: {folder / 'index.html'}")
    return folder / "index.html"


def print_answers(result: StudyResult) -> None:
    table = Table(title=result.definition.question, title_justify="left")
    table.add_column("verdict")
    table.add_column("")
    for answer in answers(result):
        table.add_row(answer.verdict, "\n".join([answer.text, *answer.details]))
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False)  # names may have brackets
    console.print(table)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def link_tensorboard(result: StudyResult, folder: Path) -> None:
    """Make links to the runs' event files under readable names, for ``tensorboard --logdir``."""
    for record in result.records:
        link = folder / record.arm.replace(os.sep, "_") / f"seed{record.seed}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        if record.run.tensorboard.is_dir():
            link.symlink_to(os.path.relpath(record.run.tensorboard, link.parent))


def protocol_of(result: StudyResult) -> list[str]:
    """What was held fixed, and what the runs were made with."""
    definition = result.definition
    finished = [record for record in result.records if record.state == "finished"] or result.records
    steps = sorted({record.run.last_step for record in finished})
    budget = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    lines = [
        f"held fixed: {' '.join(definition.common) or 'all settings but those of the arms'}; {budget} training steps. "
        "A comparison at a fixed budget favours what learns fast: see the curves",
        f"figures: {', '.join(result.protocols.values()) or 'of the curves'}, of the last checkpoint",
        f"smallest differences that matter: {', '.join(f'{m.title} {m.text(m.zone)}' for m in definition.merits)}",
        f"{median(record.seconds for record in finished):,.0f} seconds a run (median)",
    ]
    made = [record.run.versions or {} for record in result.records]
    for name in ("device", "precision", "threads", "python", "packages", "git"):
        values = sorted({json.dumps(each.get(name)) for each in made if name in each})
        lines.append(f"{name}: {' or '.join(values).replace(chr(34), '') or 'not known'}")
    times = [event["time"] for record in result.records for event in record.run.history.events]
    lines.append(f"made from {min(times)[:10]} to {max(times)[:10]}")
    return lines
