"""A run folder: made once, written while training, read back by everything else."""

import csv
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy
from numpy.typing import NDArray
from omegaconf import OmegaConf

from gans.errors import InputError


def run_name(choices: Mapping[str, str], config: dict[str, Any]) -> str:
    """What was run: data, model, objective, stabilizers and seed."""
    digits = config["data"].get("digits", range(10))
    data = choices["data"] + ("" if len(digits) == 10 else "".join(map(str, digits)))
    stabilizers = "+".join(config["stabilize"]) or "none"
    return "-".join((data, choices["model"], choices["objective"], stabilizers, f"seed{config['seed']}"))


def new_folder(parent: Path, name: str) -> Path:
    """Make ``parent/name``, or the first of ``name_2``, ``name_3``, ... that does not exist yet.

    Raises:
        InputError: where the folder can't be made.
    """
    attempt = 1
    while True:
        folder = parent / (name if attempt == 1 else f"{name}_{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError as error:
            if not parent.is_dir():
                raise InputError(f"can't make '{folder}': '{parent}' is not a folder") from error
            attempt += 1
        except OSError as error:
            raise InputError(f"can't make '{folder}': {error.strerror}") from error


def folders_named(parent: Path, name: str) -> list[Path]:
    """The folders that ``new_folder`` has made of a name, in order."""
    pattern = re.compile(rf"{re.escape(name)}(?:_(\d+))?")
    numbered = [(pattern.fullmatch(path.parent.name), path.parent) for path in parent.glob("*/config.yaml")]
    return [path for _, path in sorted((int(match[1] or 1), path) for match, path in numbered if match)]


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file in a run folder.

    Raises:
        InputError: where it can't be read.
    """
    try:
        with numpy.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"'{path}' is damaged or lost ({error}): delete it, and go on") from error


@dataclass(frozen=True)
class Grid:
    """Generated images at one moment of training."""

    step: int
    epoch: float
    images: NDArray[Any]
    """uint8, shape (n, height, width); or points, float32, shape (n, dimensions)."""
    labels: NDArray[numpy.int64]
    """The class asked for or shown to the generator, shape (n,); -1 where there is none."""
    landscape: dict[str, NDArray[numpy.float32]]
    """Of points, what the discriminator says around them: see ``gans.callbacks.landscape``."""


@dataclass(frozen=True)
class Run:
    """A run folder.

    Raises:
        InputError: when made from a path that is no run folder.
    """

    path: Path

    def __post_init__(self) -> None:
        if not (self.path / "config.yaml").is_file():
            raise InputError(f"'{self.path}' is not a run folder: it has no config.yaml (train.py makes run folders)")

    @cached_property
    def config(self) -> dict[str, Any]:
        try:
            config = OmegaConf.to_container(OmegaConf.load(self.path / "config.yaml"), resolve=True)
            if not isinstance(config, dict):
                raise InputError("it holds no options")
            return {str(name): option for name, option in config.items()}
        except Exception as error:
            raise InputError(f"'{self.path / 'config.yaml'}' can't be read: {' '.join(str(error).split())}") from error

    def refuse_links_out(self) -> None:
        """Refuse a folder in which a link leads out of it, so that writing to the run writes nothing else."""
        home = self.path.resolve()
        for path in self.path.rglob("*"):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                raise InputError(
                    f"'{path}' leads out of the run folder, to '{path.resolve()}': put the file itself there"
                )

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def classes(self) -> list[int]:
        return self.config["data"]["digits"]

    @property
    def last_checkpoint(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @cached_property
    def curves(self) -> dict[str, dict[str, NDArray[numpy.float64]]]:
        """``curves[name]`` has the arrays ``step``, ``epoch`` and ``value``, one entry per recorded point."""
        if not (self.path / "metrics.csv").is_file():
            return {}
        with (self.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in (rows[0] if rows else {}) if name not in ("step", "epoch")]
        return {name: _column([row for row in rows if row[name] != ""], name) for name in names}

    @property
    def last_step(self) -> int:
        """The last step of which the curves have a point; 0 where there is none."""
        return max((int(curve["step"][-1]) for curve in self.curves.values() if len(curve["step"])), default=0)

    def metric_name(self, metric: str) -> str | None:
        """The full name, with its protocol, under which the curves hold a metric of validation images, if they do."""
        pattern = re.compile(rf"val/{re.escape(metric)}_\d+(_[a-z_]*\d+)?")
        return next((name for name in self.curves if pattern.fullmatch(name)), None)

    @property
    def fault(self) -> tuple[int, str] | None:
        """The training step that was not finite and ended the run, and what was not; None where none has."""
        path = self.path / "history.json"
        events = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        last = events[-1] if events else {}
        return (last["training_step"], last["why"]) if last.get("event") == "failed" else None

    @cached_property
    def floors(self) -> dict[str, float]:
        """The metrics of real training images in the place of generated ones, under the metrics' full names."""
        path = self.path / "floors.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @cached_property
    def neighbours(self) -> dict[str, NDArray[Any]] | None:
        """What the memorisation check has to show, if it was made: see ``gans.metrics.neighbours``."""
        return self._arrays("neighbours")

    @cached_property
    def mode_counts(self) -> dict[str, NDArray[Any]] | None:
        """``counts`` (k,), how many samples of the test are of each mode, if they were counted."""
        return self._arrays("mode_count") or self._arrays("mixture")

    @cached_property
    def data_samples(self) -> tuple[NDArray[numpy.uint8], NDArray[numpy.int64]]:
        """Images (n, height, width) of the training set and their class indices (n,)."""
        arrays = load_arrays(self.path / "samples" / "data.npz")
        return arrays["images"], arrays["labels"]

    @cached_property
    def grids(self) -> list[Grid]:
        """The fixed-noise grids in order of training."""
        grids = []
        for path in sorted((self.path / "samples").glob("step_*.npz")):
            arrays = load_arrays(path)
            step, epoch, images, labels = (arrays.pop(name) for name in ("step", "epoch", "images", "labels"))
            grids.append(Grid(int(step), float(epoch), images, labels, landscape=arrays))
        return grids

    @cached_property
    def pairs(self) -> dict[str, NDArray[Any]] | None:
        """``inputs``, ``outputs``, ``answers`` (n, height, width), ``labels`` (n,) of held-out images, if recorded."""
        return self._arrays("pairs")

    def _arrays(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self.path / "samples" / f"{name}.npz"
        return load_arrays(path) if path.is_file() else None


def weights_of(path: Path) -> Path:
    """The file that holds a generator's weights: the path itself, or the generator of a run folder.

    Raises:
        InputError: where there is none.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise InputError(f"there is no '{path}': give a run folder or one of its checkpoints")
    run = Run(path)
    run.refuse_links_out()
    for file in (run.path / "generator.safetensors", run.last_checkpoint):
        if file.is_file():
            return file
    raise InputError(f"'{path}' holds no trained generator: its training has not saved one yet")


def _column(rows: list[dict[str, str]], name: str) -> dict[str, NDArray[numpy.float64]]:
    return {
        key: numpy.array([float(row[column]) for row in rows])
        for key, column in (("step", "step"), ("epoch", "epoch"), ("value", name))
    }
