"""The records of a study's runs that are over."""

from collections.abc import Iterable, Sequence

from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.study.figures_of_merit import FigureOfMerit
from gans.study.find import Runs
from gans.study.plan import PlannedRun
from gans.study.record import RunRecord, read_record


def read_planned(
    plans: Sequence[PlannedRun], runs: Runs, figures: Sequence[FigureOfMerit], whole: bool = True
) -> tuple[list[RunRecord], list[str]]:
    """The records of the planned runs that are over, and a warning for each damaged one."""
    existing = [(run, plan.arm) for plan in plans if (run := runs.of(plan))]
    return read_records(existing, figures, whole)


def read_records(
    runs: Iterable[tuple[RunFolder, str]], figures: Sequence[FigureOfMerit], whole: bool = True
) -> tuple[list[RunRecord], list[str]]:
    """The records of runs with their arms, and a warning for each damaged one.

    Args:
        whole: whether damaged curves count too, which takes long to read of many runs.
    """
    records, warnings = [], []
    for run, arm in runs:
        try:
            record = read_record(run, arm, figures)
            _ = run.curves if whole else None
            records.append(record)
        except InputError as error:
            warnings.append(f"left out: {arm}: {error}")
    return records, warnings
