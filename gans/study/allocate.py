"""Which runs a study makes next."""

from collections.abc import Iterable
from itertools import count

from gans.study.analyse import StudyResult
from gans.study.define import ClaimPart, StudyDefinition
from gans.study.find import Runs
from gans.study.plan import PlannedRun, Planner


def planned_runs(definition: StudyDefinition, planner: Planner) -> list[PlannedRun]:
    """All runs that may be made, seed by seed, so that every arm has the first seeds early."""
    seeds = max(definition.seeds, definition.most_seeds)
    return [planner.plan(arm, seed) for seed in range(seeds) for arm in definition.all_arms]


def runs_that_count(definition: StudyDefinition, planner: Planner, runs: Runs) -> list[PlannedRun]:
    """The runs that may be made, and those of further seeds up to the first of which no run has begun."""
    plans = planned_runs(definition, planner)
    for seed in count(plans[-1].seed + 1):
        more = [planner.plan(arm, seed) for arm in definition.all_arms]
        if not any(runs.begun(plan) for plan in more):
            return plans
        plans += more
    return plans


def next_runs(definition: StudyDefinition, planner: Planner, result: StudyResult | None) -> list[PlannedRun]:
    """The runs to make, those that exist included: the first seeds of every arm, then more of what is undecided.

    Args:
        result: what is known so far, if undecided claims are to get seeds beyond the first ones, up to ``most_seeds``.
    """
    plans = planned_runs(definition, planner)
    first = [plan for plan in plans if plan.seed < definition.seeds]
    if result is None:
        return first
    arms = undecided_arms(result)
    return [*first, *(plan for plan in plans if plan.seed >= definition.seeds and plan.arm in arms)]


def undecided_arms(result: StudyResult) -> set[str]:
    """The arms of undecided claims; without claims, those whose first figure is undecided, with the baseline."""
    if result.claims:
        parts = [each for judged in result.claims if judged.judgement == "undecided" for each in judged.parts]
        return arms_of([part for part, found, state in parts if state == "undecided" and found.is_open], result)
    figure = result.definition.merits[0].name
    found = {
        arm
        for arm, figures in result.comparisons.items()
        if figures[figure].verdict == "undecided" and figures[figure].is_open
    }
    return found | {result.definition.baseline} if found else set()


def arms_of(parts: Iterable[ClaimPart], result: StudyResult) -> set[str]:
    """The arms that parts of claims compare."""
    compared = {each for part in parts for each in (part.arm, result.definition.compared_with(part))}
    return {each for each in compared if isinstance(each, str)}
