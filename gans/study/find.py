"""Run folders on the disk, and which of them a study asks for."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gans.errors import InputError, one_line, warn
from gans.run.folder import RunFolder, is_run, runs_in
from gans.run.identity import of_this_code, settings_text
from gans.study.figures_of_merit import FigureOfMerit
from gans.study.known_figures import LATE_FLUCTUATION
from gans.study.plan import PlannedRun
from gans.study.record import is_over


class Runs:
    """The run folders below some folders, found by the settings that decide their results."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.damaged: list[str] = []
        """A line for each folder whose config or history can't be read."""
        self.by_settings: dict[str, list[RunFolder]] = {}
        for run in run_folders(patterns):
            try:
                _ = run.history
                self.by_settings.setdefault(settings_text(run.config), []).append(run)
            except InputError as error:
                text = str(error)
                self.damaged.append(text if str(run.path) in text else f"'{run.path}': {text}")

    def of(self, planned: PlannedRun) -> RunFolder | None:
        """The run that counts for these settings; None if none is over."""
        return next(iter(self.over(planned)), None)

    def counted(self, plans: Iterable[PlannedRun]) -> list[tuple[RunFolder, str]]:
        """The runs that count for these, with their arms."""
        return [(run, plan.arm) for plan in plans if (run := self.of(plan))]

    def over(self, planned: PlannedRun) -> list[RunFolder]:
        """The runs that have these settings and are over: those of the present code, finished and tested come first."""
        over = [run for run in self.begun(planned) if is_over(run)]
        of_now = of_this_code(planned.settings, over)

        def rank(run: RunFolder) -> tuple[bool, bool, bool]:
            return run not in of_now, run.history.last != "finished", not run.test_results_file.is_file()

        return sorted(over, key=rank)

    def begun(self, planned: PlannedRun) -> list[RunFolder]:
        """The runs that have these settings, whether they are over or not."""
        return self.by_settings.get(planned.settings, [])

    def of_other_code(self, plans: Iterable[PlannedRun]) -> list[str]:
        """A warning of the runs among these that are of another version of the user's own code."""
        found = [run for plan in plans if (run := self.of(plan)) and not of_this_code(plan.settings, [run])]
        count = f"{len(found)} run{'s were' if len(found) > 1 else ' was'}"
        why = "trained with another version of your own code: move them out of the folder of runs to make them again"
        return [f"{count} {why}, such as '{found[0].path}'"] if found else []


def different_spacings(runs: Iterable[RunFolder], figures: Iterable[FigureOfMerit]) -> list[str]:
    """A warning of runs with other numbers of samples behind each point of a loss, on which its fluctuation depends."""
    names = [figure.name for figure in figures]
    if not any(name.startswith(LATE_FLUCTUATION) and name.endswith("_loss") for name in names):
        return []

    def samples(run: RunFolder) -> int:
        return run.config["log_every"] * run.config["data"]["batch_size"]

    sizes = {samples(run): run for run in runs}
    if len(sizes) < 2:
        return []
    where = " and ".join(
        f"log_every={run.config['log_every']} data.batch_size={run.config['data']['batch_size']} in '{run.path}'"
        for run in [*sizes.values()][:2]
    )
    return [f"{where}: a loss whose points are means over more samples fluctuates less by that alone"]


def run_folders(patterns: Sequence[str]) -> Iterator[RunFolder]:
    """The run folders that the patterns name, and those in folders that they name, each once."""
    seen = set()
    for pattern in patterns:
        for path in expand(pattern):
            try:
                found = [RunFolder(path)] if is_run(path) else runs_in(path)
            except OSError as error:
                warn(f"'{path}' can't be read ({error.strerror or error}), and is left out")
                continue
            for run in found:
                if run.path.resolve() not in seen:
                    seen.add(run.path.resolve())
                    yield run


def expand(pattern: str) -> list[Path]:
    """The paths that a pattern matches, sorted; only the path itself if it exists, though it may have brackets."""
    path = Path(pattern)
    if path.exists():
        return [path]
    anchor = Path(path.anchor)
    try:
        return sorted(anchor.glob(str(path.relative_to(anchor)))) if path.parts else []
    except ValueError as error:
        raise InputError(f"runs: '{pattern}' is no pattern of paths ({one_line(error)})") from error
