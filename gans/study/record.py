"""What a study knows of one run, read from its folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gans.metrics.name import MetricName
from gans.run.diagnose import read_verdict
from gans.run.folder import RunFolder
from gans.run.history import History
from gans.run.test_results import CheckpointResults, read_results
from gans.study.figures_of_merit import FigureOfMerit
from gans.study.known_figures import LATE_FLUCTUATION, RANK_CORRELATION, curve_and_figure
from gans.study.rank_correlation import rank_correlation

HEALTHY = ("healthy", "not judged")
ENDS = ("stopped", "failed", "finished", "rolled back")


@dataclass(frozen=True)
class RunRecord:
    """One finished or failed run of an arm."""

    arm: str
    seed: int
    run: RunFolder
    state: Literal["finished", "failed"]
    """``failed`` if a value that is not finite ended it."""
    diagnoses: dict[str, int]
    """The first training step of each label of the run's verdict, other than healthy."""
    not_judged: tuple[str, ...]
    """The labels that the verdict could not judge."""
    figures: dict[str, float]
    """Figures of merit by name; NaN where the run lacks one. A failed run has only those of a training step, such as
    ``fid@3500``."""
    protocols: dict[str, str]
    """The full name of each figure that a metric computed: ``fid_10000_mnist1``."""
    floors: dict[str, float] = field(default_factory=dict)
    """The figures of real images in place of generated ones, where there are some."""
    seconds: float = math.nan


def read_record(run: RunFolder, arm: str, figures: Sequence[FigureOfMerit]) -> RunRecord:
    """Read a run that has finished or failed.

    Raises:
        InputError: if a file is damaged.
    """
    failed = run.history.failure is not None
    tested = None if failed else read_results(run.test_results_file)
    verdict = read_verdict(run)
    found: dict[str, float] = {}
    protocols: dict[str, str] = {}
    floors: dict[str, float] = {}
    for figure in figures:
        found[figure.name] = math.nan
        name = figure.name.removeprefix("best.")
        checkpoint = "best" if name != figure.name else "last"
        if "@" in name:
            found[figure.name] = value_at(run, *name.split("@"))
        elif failed:  # what it has is of another moment of training than in other runs
            continue
        elif name == "seconds":
            found[figure.name] = seconds_of(run.history) or math.nan  # 0: too short for whole seconds
        elif name.startswith(LATE_FLUCTUATION):
            found[figure.name] = float(verdict.late_fluctuation.get(name.removeprefix(LATE_FLUCTUATION), math.nan))
        elif name.startswith(RANK_CORRELATION):
            found[figure.name] = rank_correlation(run, *curve_and_figure(name))
        elif tested and checkpoint in tested.checkpoints:
            full = full_name(tested.checkpoints[checkpoint], name)
            if full:
                found[figure.name] = tested.checkpoints[checkpoint].results[full]
                protocols[figure.name] = full
                of_real = of_real_images(full)
                floors |= {figure.name: tested.floors[of_real]} if of_real in tested.floors else {}
    return RunRecord(
        arm,
        int(run.config["seed"]),
        run,
        "failed" if failed else "finished",
        {label: period.first_step for label, period in verdict.labels.items() if label not in HEALTHY},
        tuple(verdict.not_judged),
        found,
        protocols,
        floors,
        seconds_of(run.history),
    )


def full_name(tested: CheckpointResults, figure: str) -> str | None:
    """The full name of a figure in a checkpoint's results, with its protocol if it has one."""
    if figure in tested.results:
        return figure
    names = {name: MetricName.parse(name) for name in tested.results}
    return next((name for name, parsed in names.items() if parsed and parsed.figure == figure), None)


def of_real_images(full_name: str) -> str:
    """The name that a test figure has if it is of real images, with its protocol."""
    parsed = MetricName.parse(full_name)
    return str(parsed.of_real_images) if parsed else full_name


def value_at(run: RunFolder, figure: str, step: str) -> float:
    """A validation figure at a training step; NaN if none was computed then."""
    steps, values = run.validations(figure)
    values = values[steps == int(step)]
    return float(values[-1]) if len(values) else math.nan


def seconds_of(history: History) -> float:
    """The time from each start to the next end, in seconds; a killed process counts until its last event only.

    What a clock that was set back makes negative does not count.
    """
    total, start = 0.0, None
    for event in history.events:
        time = datetime.fromisoformat(event["time"])
        if event["event"] in ("started", "resumed"):
            start = time
        elif event["event"] in ENDS and start is not None:
            total += max(0.0, (time - start).total_seconds())
            start = time
    return total


def is_over(run: RunFolder) -> bool:
    """Whether a run has finished or failed, so that it counts."""
    return run.history.last in ("finished", "failed")
