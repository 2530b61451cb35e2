"""A run folder: the names of its files, and how to read them."""

import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy
import yaml
from numpy.typing import NDArray

from gans.config.shell import shell_command
from gans.errors import InputError, one_line
from gans.files import write_text
from gans.metrics.name import MetricName
from gans.run.history import History
from gans.run.metrics_file import read_rows
from gans.run.upgrade import upgrade

YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The faster one, where it is built in: a sweep reads the config of every run."""


def is_run(path: Path) -> bool:
    """Whether it is a run folder."""
    return (path / "config.yaml").is_file()


def runs_in(parent: Path) -> "list[RunFolder]":
    """The runs in a folder, by name."""
    found = []
    for path in sorted(parent.glob("*/config.yaml")):
        with suppress(InputError):  # one that was refused has been removed meanwhile
            found.append(RunFolder(path.parent))
    return found


@dataclass(frozen=True)
class Grid:
    """Generated samples of a training step."""

    step: int
    epoch: float
    images: NDArray[Any]
    """Images, uint8, shape (n, height, width), or channels last; or points, float32, shape (n, dimensions)."""
    labels: NDArray[numpy.int64]
    """The requested classes, or those of the generator's input images, shape (n,); -1 if there are none."""
    landscape: dict[str, NDArray[numpy.float32]]
    """For points: the arrays of ``gans.run.callbacks.landscape.Landscape``; for images empty."""


class Child:
    """Attribute of ``RunFolder``: the path of a file or folder in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: "RunFolder", _: type) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """An existing run folder; an InputError for a path without config.yaml."""

    path: Path

    config_file = Child("config.yaml")
    metrics_file = Child("metrics.csv")
    versions_file = Child("versions.json")
    floors_file = Child("floors.json")
    test_results_file = Child("test.json")
    verdict_file = Child("verdict.json")
    generator_file = Child("generator.safetensors")
    checkpoints = Child("checkpoints")
    tensorboard = Child("tensorboard")
    figures = Child("figures")

    def __post_init__(self) -> None:
        if not is_run(self.path):
            raise InputError(f"'{self.path}' is not a run folder: it has no config.yaml (train.py makes run folders)")

    @classmethod
    def around(cls, path: Path) -> "RunFolder":
        """The run folder that a path names: itself, or a file or folder inside it, such as a checkpoint.

        A checkpoint's path names its run even if the file is gone.
        """
        is_inside = path.exists() or path.parent.name == "checkpoints"
        around = (path, *path.absolute().parents[:2]) if is_inside else (path,)
        return cls(next((folder for folder in around if is_run(folder)), path))

    @property
    def name(self) -> str:
        return self.path.absolute().name

    @property
    def history(self) -> History:
        return History(self.path / "history.json")

    @classmethod
    def create(cls, folder: Path, config: dict[str, Any]) -> "RunFolder":
        """Write the config, which makes a folder a run folder."""
        write_text(folder / "config.yaml", yaml.safe_dump(config, allow_unicode=True, sort_keys=False))
        return cls(folder)

    def samples_file(self, name: str) -> Path:
        """The arrays of a figure: data, pairs, neighbours, ..."""
        return self.path / "samples" / f"{name}.npz"

    def grid_file(self, step: int) -> Path:
        """The sample grid of a training step."""
        return self.samples_file(f"step_{step:07d}")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's options as plain values; an ``InputError`` if the file can't be read."""
        try:
            config = yaml.load(self.config_file.read_text(encoding="utf-8"), YAML)
            if not isinstance(config, dict):
                raise InputError("it has no options")
            return upgrade({str(name): option for name, option in config.items()})
        except Exception as error:
            raise InputError(f"'{self.config_file}' can't be read: {one_line(error)}") from error

    @cached_property
    def curves(self) -> dict[str, dict[str, NDArray[numpy.float64]]]:
        """``curves[name]`` has the arrays ``step``, ``epoch`` and ``value``, with one entry per recorded point."""
        columns, rows = read_rows(self.metrics_file)
        recorded = {name: [row for row in rows if row[name] != ""] for name in columns if name not in ("step", "epoch")}
        if columns and not {"step", "epoch"} <= {*columns}:
            lack = "it has no columns step and epoch. Delete this file to go on without its curves"
            raise InputError(f"'{self.metrics_file}' is damaged: {lack}")
        try:
            return {name: _curve(of_name, name) for name, of_name in recorded.items() if of_name}
        except ValueError as error:
            raise InputError(f"'{self.metrics_file}' is damaged ({error}): delete the line") from error

    def curve(self, name: str) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
        """The steps and the values of a curve; none where the run lacks it."""
        curve = self.curves.get(name)
        return (curve["step"], curve["value"]) if curve else (numpy.empty(0), numpy.empty(0))

    def validations(self, figure: str) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
        """The steps and the values of a metric, loss or accuracy at validations; none where the run lacks it."""
        return self.curve(self.validation_name(figure) or f"val/{figure}")

    @property
    def last_step(self) -> int:
        """The last step in the curves; 0 if they are empty."""
        return max((int(curve["step"][-1]) for curve in self.curves.values()), default=0)

    def validation_name(self, figure: str) -> str | None:
        """The full name of a validation metric in the curves; None if it is not there."""
        names = {name: MetricName.parse(name.removeprefix("val/")) for name in self.curves if name.startswith("val/")}
        return next((name for name, parsed in names.items() if parsed and parsed.figure == figure), None)

    def floor(self, figure: str, default: float) -> float:
        """A validation metric of real training images; the default where it is not known."""
        return self.floors.get((self.validation_name(figure) or "").removeprefix("val/"), default)

    @cached_property
    def floors(self) -> dict[str, float]:
        """The validation metrics of real training images, by full name."""
        try:
            floors = json.loads(self.floors_file.read_text(encoding="utf-8")) if self.floors_file.is_file() else {}
            return {name: float(value) for name, value in floors.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"'{self.floors_file}' is damaged ({error}): delete it, and test the run again") from error

    @cached_property
    def versions(self) -> dict[str, Any] | None:
        """What ``gans.run.callbacks.provenance.versions`` has found at the start; None if the run has not started."""
        try:
            text = self.versions_file.read_text(encoding="utf-8") if self.versions_file.is_file() else "null"
            versions = json.loads(text)
            return None if versions is None else dict(versions)
        except (ValueError, TypeError) as error:
            message = f"'{self.versions_file}' is damaged ({error}): delete it to make a new one"
            raise InputError(message) from error

    @cached_property
    def neighbours(self) -> dict[str, NDArray[Any]] | None:
        """The arrays of ``gans.metrics.neighbours.Neighbours.artifacts``; None if the run has none."""
        return self._arrays("neighbours")

    @cached_property
    def mode_counts(self) -> dict[str, NDArray[Any]] | None:
        """``counts`` (k,): the number of the final test's samples of each mode; None if they were not counted."""
        return self._arrays("mode_count") or self._arrays("mixture")

    @cached_property
    def data_samples(self) -> tuple[NDArray[Any], NDArray[numpy.int64]]:
        """Training images, as those of ``Grid``, or points, and their labels (n,)."""
        arrays = load_arrays(self.samples_file("data"))
        return arrays["images"], arrays["labels"]

    @cached_property
    def class_names(self) -> dict[int, str]:
        """The names of the source's classes; empty for a run of an older version."""
        arrays = self._arrays("data") or {}
        return dict(enumerate(map(str, arrays.get("class_names", ()))))

    @cached_property
    def grids(self) -> list[Grid]:
        """The fixed-noise grids in order of their steps."""
        grids = []
        for path in (self.path / "samples").glob("step_*.npz"):
            arrays = load_arrays(path)
            named = {name: arrays[name] for name in ("step", "epoch", "images", "labels")}
            for name in named:
                del arrays[name]
            step, epoch, images, labels = named.values()
            grids.append(Grid(int(step), float(epoch), images, labels, landscape=arrays))
        return sorted(grids, key=lambda grid: grid.step)

    def delete_grids_after(self, step: int) -> None:
        """Delete the grids of later steps, which may not come again."""
        for path in (self.path / "samples").glob("step_*.npz"):
            number = path.stem.removeprefix("step_")
            if number.isdecimal() and int(number) > step:  # a copy of the user's has another name
                path.unlink()

    def forget_results(self) -> None:
        """Delete what an earlier end of training has left: results of the test with its arrays, and the verdict."""
        arrays = [self.samples_file(name) for name in ("pairs", *(self.config.get("metric") or {}))]
        for file in (self.test_results_file, self.verdict_file, *arrays):
            file.unlink(missing_ok=True)

    @cached_property
    def pairs(self) -> dict[str, NDArray[Any]] | None:
        """``inputs``, ``outputs``, ``answers``, images as those of ``Grid``, ``labels`` (n,), of a test; or None."""
        return self._arrays("pairs")

    def _arrays(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self.samples_file(name)
        return load_arrays(path) if path.is_file() else None

    def refuse_damage(self) -> None:
        """Read the files whose damage would be found only after a resumed run has changed others."""
        _ = self.history, self.versions, self.floors


def run_of(path: Path) -> RunFolder | None:
    """The run folder that a path names, or lies in; None for a file elsewhere."""
    with suppress(InputError):
        return RunFolder.around(path)
    return None


class Arrays(dict[str, NDArray[Any]]):
    """The arrays of an .npz file; an ``InputError`` for one that it does not have."""

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        super().__init__(arrays)
        self.path = path

    def __missing__(self, name: str) -> NDArray[Any]:
        raise InputError(f"'{self.path}' is damaged, it has no {name}: delete it, and {how_to_restore(self.path)}")


def load_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file; an ``InputError`` if it can't be read."""
    try:
        with numpy.load(path) as file:
            return Arrays(path, dict(file))
    except FileNotFoundError as error:
        raise InputError(f"'{path}' is not there, or not yet: {how_to_restore(path)}") from error
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"'{path}' is damaged: delete it, and {how_to_restore(path)}") from error


def how_to_restore(path: Path) -> str:
    """How to get a file of arrays of a run again: a test writes again what figures can't do without."""
    command = shell_command("train.py", {"test": str(path.parent.parent)})
    return f"resume the run, or test a finished one again with: {command}"


def _curve(rows: list[dict[str, str]], name: str) -> dict[str, NDArray[numpy.float64]]:
    return {
        key: numpy.array([float(row[column]) for row in rows])
        for key, column in (("step", "step"), ("epoch", "epoch"), ("value", name))
    }
