"""test.json: the results of the final test. Its schema is ``TestResults``; docs/evaluation.md explains it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gans.config.shell import shell_command
from gans.config.validate import foreign_packages
from gans.errors import InputError
from gans.files import write_text
from gans.metrics.name import MetricName, of_class
from gans.run.folder import RunFolder

LAST_COLUMN = 18
"""What a table's last column needs at least."""

CONFIG = ConfigDict(extra="forbid", ser_json_inf_nan="constants")  # else NaN becomes null, which is no number to read


class CheckpointResults(BaseModel):
    """The results of one checkpoint."""

    model_config = CONFIG

    training_steps: int | None
    """None for images that come from elsewhere."""
    results: dict[str, float]
    """Losses and accuracies over all test images, and metrics by ``MetricName``: ``fid_10000_mnist1`` compares 10,000
    generated and 10,000 test images with the features mnist1."""


class TestResults(BaseModel):
    """The whole file. ``schema_version`` changes with incompatible changes."""

    __test__ = False  # for pytest: not a test, despite the name
    model_config = CONFIG

    schema_version: Literal[1] = 1
    held_out_images: int
    """The size of the test set."""
    evaluated_images: int
    """The number of test images, and of generated images, that the metrics use; 0 without metrics."""
    features: str | None
    """The SHA-256 of the feature network."""
    checkpoints: dict[str, CheckpointResults]
    """``last`` and, if validation FID selected one, ``best``."""
    floors: dict[str, float]
    """The metrics of real training images in place of generated ones, by the same names."""
    left_out: dict[str, str]
    """The reason for each metric that could not be computed."""

    def write(self, path: Path) -> None:
        write_text(path, self.model_dump_json(indent=2) + "\n")

    def table(self, title: str, width: int = 100) -> Table:
        """The results of every checkpoint beside the floors, and below them why metrics are missing. One that is too
        wide goes without borders and without how many images and which features the metrics use."""
        rows = self._rows()
        titles = self._titles()
        widest = [max((len(row[place]) for row in rows), default=0) for place in range(1 + len(titles))]
        narrow = sum(widest) + LAST_COLUMN + 3 * (len(widest) + 1) + 1 > width
        options: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "padding": 0} if narrow else {}
        table = Table(title=Text(title), title_justify="left", caption_justify="left", **options)
        table.add_column("test metric", no_wrap=not narrow, overflow="fold")
        for name, least in zip(titles, widest[1:], strict=True):
            table.add_column(name, justify="right", min_width=least)
        table.caption = "\n".join(self.reasons())
        if not narrow:
            table.add_column("images, features")
        for row in rows:
            table.add_row(*row[: len(table.columns)])
        return table

    def _titles(self) -> list[str]:
        """The titles of the columns with numbers."""
        steps = {name: tested.training_steps for name, tested in self.checkpoints.items()}
        titles = [name if step is None else f"{name}\nstep {step:,}" for name, step in steps.items()]
        return [*titles, "real training\nimages"]

    def _rows(self) -> list[list[str]]:
        """The cells of each figure, but for values per class, which would make the table too long."""
        rows = []
        for full_name in next(iter(self.checkpoints.values())).results:
            parsed = MetricName.parse(full_name)
            name = parsed.figure if parsed else full_name
            if of_class(name):
                continue
            images = parsed.images if parsed else self.held_out_images
            protocol = [str(images), *(parsed.details if parsed else [])]
            found = [tested.results.get(full_name) for tested in self.checkpoints.values()]
            values = ["" if value is None else f"{value:.4g}" for value in found]
            floor = self.floors.get(str(parsed.of_real_images) if parsed else full_name)
            rows.append([name, *values, "" if floor is None else f"{floor:.4g}", ", ".join(protocol)])
        return rows

    def reasons(self) -> list[str]:
        """A line for each reason why metrics could not be computed."""
        metrics: dict[str, list[str]] = {}
        for metric, reason in self.left_out.items():
            metrics.setdefault(reason, []).append(metric)
        return [f"{', '.join(names)}: {reason}" for reason, names in metrics.items()]


def read_results(path: Path) -> TestResults:
    """The contents of test.json; an ``InputError`` if they can't be read."""
    try:
        return TestResults.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise no_results(RunFolder(path.parent), path) from error


def no_results(run: RunFolder, file: Path) -> InputError:
    """What to say of a file of the final test that can't be read: perhaps the run has not come to it yet."""
    last, trust = run.history.last, foreign_packages(run.config)
    is_over = file.exists() or last in ("failed", "finished")
    command = "test" if is_over else "resume"
    again = shell_command("train.py", {command: str(run.path), **({"trust": trust} if trust else {})})
    if file.exists() or last == "finished":
        return InputError(f"'{file}' is damaged or lost: test the run again with: {again}")
    if is_over:
        return InputError(f"'{run.path}' failed, and is not tested: test its last checkpoint with: {again}")
    state = "" if last == "stopped" else "wait if it is running, else "
    return InputError(f"'{run.path}' is not tested yet: {state}resume it with: {again}")
