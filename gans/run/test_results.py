"""test.json: the results of the final test. Its schema is ``TestResults``; docs/evaluation.md explains it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from gans.errors import InputError
from gans.files import write_text
from gans.metrics.name import MetricName, of_class


class CheckpointResults(BaseModel):
    """The results of one checkpoint."""

    model_config = ConfigDict(extra="forbid")

    training_steps: int | None
    """None for images that come from elsewhere."""
    results: dict[str, float]
    """Losses and accuracies over all test images, and metrics by ``MetricName``: ``fid_10000_mnist1`` compares 10,000
    generated and 10,000 test images with the features mnist1."""


class TestResults(BaseModel):
    """The whole file. ``schema_version`` changes with incompatible changes."""

    __test__ = False  # for pytest: not a test, despite the name
    model_config = ConfigDict(extra="forbid")

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

    def table(self, title: str) -> Table:
        """The results of every checkpoint beside the floors."""
        table = Table(title=title, title_justify="left")
        table.add_column("test metric", no_wrap=True)
        for name, tested in self.checkpoints.items():
            steps = "" if tested.training_steps is None else f"\nstep {tested.training_steps:,}"
            table.add_column(name + steps, justify="right")
        table.add_column("real training\nimages", justify="right")
        table.add_column("images, features")
        first = next(iter(self.checkpoints.values()))
        for full_name in first.results:
            parsed = MetricName.parse(full_name)
            name = parsed.figure if parsed else full_name
            if of_class(name):
                continue  # values per class would make the table too long
            images = parsed.images if parsed else self.held_out_images
            protocol = [str(images), *(parsed.details if parsed else [])]
            values = [f"{tested.results[full_name]:.4g}" for tested in self.checkpoints.values()]
            floor = self.floors.get(str(parsed.of_real_images) if parsed else full_name)
            table.add_row(name, *values, "" if floor is None else f"{floor:.4g}", ", ".join(protocol))
        for metric, reason in self.left_out.items():
            table.add_row(metric, *["-"] * (len(self.checkpoints) + 1), reason)
        return table


def read_results(path: Path) -> TestResults:
    """The contents of test.json; an ``InputError`` if they can't be read."""
    try:
        return TestResults.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' is damaged or lost: test the run again with test=...") from error
