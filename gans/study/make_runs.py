"""Make the runs of a study that are missing, through the engine of sweeps."""

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from gans.config.build import build_data
from gans.config.schema import StudyOptions
from gans.config.shell import command_words, hydra_overrides, hydra_value
from gans.config.validate import validate
from gans.errors import InputError
from gans.files import file_name
from gans.run.folder import is_run
from gans.study.allocate import arms_of, next_runs, runs_that_count, undecided_arms
from gans.study.analyse import StudyResult, analyse, common_protocols, require_figures
from gans.study.define import StudyDefinition
from gans.study.figures_of_merit import is_of_samples
from gans.study.find import Runs
from gans.study.known_figures import LATE_FLUCTUATION
from gans.study.plan import PlannedRun, Planner
from gans.study.record import read_records
from gans.sweep.engine import Engine
from gans.sweep.launch import make_engine, run_members
from gans.sweep.member import STOPPED, Member
from gans.sweep.view import View

MANY = 1000
"""Members for the engine of a study: all its runs get the same number of threads, however few are missing."""


def run_missing(
    definition: StudyDefinition, planner: Planner, options: StudyOptions, name: str, hydra: Any
) -> tuple[set[PlannedRun], str]:
    """Run what is missing of the study, in rounds, and then, with a budget, more seeds of what is undecided.

    A member that fails is told, and left out; a signal ends the command.

    Returns:
        The runs that it has tried to make, and what to know of those that go on without this process; "" if none does.

    Raises:
        InputError: as soon as a run of every arm is finished, if they can't be compared, as where a figure is missing.
            Members that run are asked to save and stop; on SLURM they go on.
    """
    budget = options.budget
    tried: set[PlannedRun] = set()
    while budget is None or budget > 0:
        runs = Runs(options.runs)
        result, _ = present_result(definition, planner, runs)
        plans = next_runs(definition, planner, result if budget is not None else None)
        missing = [plan for plan in plans if runs.of(plan) is None and plan not in tried]
        if not missing:
            if budget:
                print(f"budget: {budget} runs are not used: {why_no_more(definition, result)}", flush=True)
            break
        require_folder_for_runs(options.runs[0])
        if not tried:
            require_same_number(definition, planner)
        engine = make_engine(hydra, MANY, planner.accelerators)
        if budget is not None:  # in rounds, so that what a round has decided gets no more
            first = [plan for plan in missing if plan.seed < definition.seeds]
            missing = first[:budget] or missing[: min(budget, engine.at_once or len(definition.all_arms))]
            budget -= len(missing)
        tried |= {*missing}
        go_on = make_runs(definition, planner, missing, Path(options.output) / name / "members", engine, options.runs)
        if go_on:
            return tried, go_on
    return tried, ""


def why_no_more(definition: StudyDefinition, result: StudyResult | None) -> str:
    """Why a study asks for no more seeds."""
    if result and undecided_arms(result):
        most = max(definition.seeds, definition.most_seeds)
        return f"all that is undecided has {most} seeds or has failed; a larger seeds=... asks for more"
    return "nothing is undecided that more seeds could decide" if result else "nothing could be judged"


def require_same_number(definition: StudyDefinition, planner: Planner) -> None:
    """Refuse arms of other data whose tests compare different numbers of samples: such figures have other values."""
    if not planner.warnings or not any(is_of_samples(merit.name) for merit in definition.merits):
        return
    counts = {}
    for arm in definition.all_arms:
        config = validate(planner.options(arm, 0))
        counts[arm] = min(config.evaluated_images, len(build_data(config).test_images.labels))
    arm, least = min(counts.items(), key=lambda item: item[1])
    other, most = max(counts.items(), key=lambda item: item[1])
    if least < most:
        raise InputError(
            f"the tests of '{arm}' and '{other}' compare {least:,} and {most:,} samples, which changes the figures: "
            f"add evaluated_images={least} to common"
        )


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
            folder / f"{file_name(plan.arm)}-seed{plan.seed}-{sha256(plan.settings.encode()).hexdigest()[:8]}.log",
        )
        for plan in plans
    ]

    def state_of_claims() -> list[str]:
        result, why_none = present_result(definition, planner, Runs(runs))
        waiting = [
            plan.arm for plan, member in zip(plans, members, strict=True) if member.exit_code in (None, *STOPPED)
        ]
        return claim_lines(result, waiting) if result else [f"so far nothing is judged: {why_none}"]

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
        to_come = sum(arm in arms_of([part for part, _, _ in judged.parts], result) for arm in waiting)
        lines.append(f"so far {judged.judgement}, {to_come} run{'s' * (to_come != 1)} to come: {judged.claim.text}")
    return lines


def present_result(definition: StudyDefinition, planner: Planner, runs: Runs) -> tuple[StudyResult | None, str]:
    """The result of the runs that are over; None while there is too little to analyse, and why.

    Raises:
        InputError: if a run of every arm is finished, and more of them could not be compared either.
    """
    planned = runs.counted(runs_that_count(definition, planner, runs))
    records, _ = read_records(planned, definition.merits, whole=False)
    if not records:
        return None, "no run is over"
    try:
        return analyse(definition, records), ""
    except InputError as error:
        if {record.arm for record in records if record.state == "finished"} == set(definition.all_arms):
            common_protocols(records)
            known = {name for record in records for name in record.protocols}
            names = [merit.name for merit in definition.merits]
            certain = [name for name in names if "@" in name or name.startswith(LATE_FLUCTUATION)]
            certain += [name for name in names if is_of_samples(name) and name not in known]
            require_figures([merit for merit in definition.merits if merit.name in certain], records)
        return None, str(error)
