"""What a study knows of one run, read from its folder."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gans.errors import InputError
from gans.metrics.name import MetricName
from gans.run.diagnose import Verdict, read_verdict
from gans.run.folder import RunFolder
from gans.run.history import History
from gans.run.test_results import CheckpointResults, TestResults, read_results
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
    networks: dict[str, str] = field(default_factory=dict)
    """The hash of the feature network of each figure that a metric computed, where it is known."""


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


def read_record(run: RunFolder, arm: str, figures: Sequence[FigureOfMerit]) -> RunRecord:
    """Read a run that has finished or failed.

    Raises:
        InputError: if a file is damaged.
    """
    failed = run.history.failure is not None
    tested = None if failed else read_results(run.test_results_file)
    verdict = read_verdict(run)
    values = {figure.name: value_of(figure.name, run, tested, verdict) for figure in figures}
    protocols = {name: full for name, (_, full) in values.items() if full is not None}
    floors: dict[str, float] = {}
    networks: dict[str, str] = {}
    for name, full in protocols.items():
        test = None if "@" in name else tested
        of_real = (test.floors if test else run.floors).get(of_real_images(full))
        floors |= {} if of_real is None else {name: of_real}
        networks[name] = (test.features if test else run.history.features) or ""
    return RunRecord(
        arm,
        int(run.config["seed"]),
        run,
        "failed" if failed else "finished",
        {label: period.first_step for label, period in verdict.labels.items() if label not in HEALTHY},
        tuple(verdict.not_judged),
        {name: value for name, (value, _) in values.items()},
        protocols,
        floors,
        seconds_of(run.history),
        networks,
    )


def value_of(figure: str, run: RunFolder, tested: TestResults | None, verdict: Verdict) -> tuple[float, str | None]:
    """A figure of merit, NaN if the run lacks it, and its full name if a metric computed it.

    Args:
        tested: None for a failed run, which has only figures of a training step: all others are of another moment of
            training than in other runs.
    """
    name = figure.removeprefix("best.")
    if "@" in name:
        metric, step = name.split("@")
        return value_at(run, metric, step), (run.validation_name(metric) or "").removeprefix("val/") or None
    if tested is None:
        return math.nan, None
    if name == "seconds":
        return seconds_of(run.history) or math.nan, None  # 0: too short for whole seconds
    if name.startswith(LATE_FLUCTUATION):
        return float(verdict.late_fluctuation.get(name.removeprefix(LATE_FLUCTUATION), math.nan)), None
    if name.startswith(RANK_CORRELATION):
        return rank_correlation(run, *curve_and_figure(name)), None
    checkpoint = tested.checkpoints.get("last" if name == figure else "best")
    full = full_name(checkpoint, name) if checkpoint else None
    return (checkpoint.results[full], full) if checkpoint and full else (math.nan, None)


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
