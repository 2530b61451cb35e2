"""test.json: what the test found, with its protocol. Its schema is ``TestResults``; docs/evaluation.md explains it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from gans.files import write_text
from gans.metrics.name import MetricName


class CheckpointResults(BaseModel):
    """One checkpoint's figures."""

    model_config = ConfigDict(extra="forbid")

    training_steps: int
    results: dict[str, float]
    """Losses and accuracies over all held-out images under their names, and metrics under names that tell their
    protocol: ``fid_10000_mnist1`` is of 10,000 generated and as many held-out images, by the features mnist1."""


class TestResults(BaseModel):
    """The file as a whole. ``schema_version`` changes when a reader would have to."""

    __test__ = False  # not a test, whatever pytest thinks of the name
    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    held_out_images: int
    """In the test set."""
    evaluated_images: int
    """Of them, and of generated ones, the metrics were computed; 0 without metrics."""
    features: str | None
    """The SHA-256 of the feature network."""
    checkpoints: dict[str, CheckpointResults]
    """``last`` and, where validation FID could choose one, ``best``."""
    floors: dict[str, float]
    """The metrics of real training images in the place of generated ones, under the same names."""
    left_out: dict[str, str]
    """Metrics that could not be computed, and why."""

    def write(self, path: Path) -> None:
        write_text(path, self.model_dump_json(indent=2) + "\n")

    def table(self, title: str) -> Table:
        """Each figure beside its floor, for every checkpoint."""
        table = Table(title=title, title_justify="left")
        table.add_column("held-out figure", no_wrap=True)
        for name, tested in self.checkpoints.items():
            table.add_column(f"{name}\nstep {tested.training_steps:,}", justify="right")
        table.add_column("real training\nimages", justify="right")
        table.add_column("of images, by features")
        first = next(iter(self.checkpoints.values()))
        for figure in first.results:
            parsed = MetricName.parse(figure)
            name = parsed.figure if parsed else figure
            if name.startswith("class_share_") or "_of_" in name:
                continue  # single classes would make the table too long
            images = parsed.images if parsed else self.held_out_images
            protocol = f"{images}, {parsed.features}" if parsed and parsed.features else str(images)
            values = [f"{tested.results[figure]:.4g}" for tested in self.checkpoints.values()]
            floor = self.floors.get(figure)
            table.add_row(name, *values, "" if floor is None else f"{floor:.4g}", protocol)
        for metric, reason in self.left_out.items():
            table.add_row(metric, *["-"] * (len(self.checkpoints) + 1), reason)
        return table


def read_results(path: Path) -> TestResults:
    return TestResults.model_validate_json(path.read_text(encoding="utf-8"))
