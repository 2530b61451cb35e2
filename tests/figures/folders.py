"""Run folders with made-up contents, to draw from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from gans.files import write_json
from gans.run.folder import RunFolder
from gans.run.metrics_file import write_rows
from tests.configs import composed

Curves = Mapping[str, Mapping[int, float]]


def fake_run(
    folder: Path,
    *overrides: str,
    curves: Curves | None = None,
    floors: Mapping[str, float] | None = None,
    samples: Mapping[str, Mapping[str, Any]] | None = None,
    per_epoch: int = 10,
) -> RunFolder:
    """A run folder.

    Args:
        curves: value by training step, by the curve's name.
        samples: the arrays of each file in samples/; it always has training samples.
        per_epoch: training steps in an epoch.
    """
    folder.mkdir(parents=True)
    run = RunFolder.create(folder, composed(*overrides))
    curves = curves or {}
    steps = sorted({step for curve in curves.values() for step in curve})
    rows = [
        {"step": step, "epoch": step / per_epoch}
        | {name: curve[step] for name, curve in curves.items() if step in curve}
        for step in steps
    ]
    if rows:
        write_rows(run.metrics_file, ["step", "epoch", *curves], rows)
    if floors:
        write_json(run.floors_file, floors)
    data = {"data": {"images": digits(10), "labels": numpy.arange(10)}}
    for name, arrays in (data | dict(samples or {})).items():
        run.samples_file(name).parent.mkdir(exist_ok=True)
        numpy.savez(run.samples_file(name), **arrays)
    return run


def digits(count: int, background: int = 0, channels: tuple[int, ...] = ()) -> NDArray[numpy.uint8]:
    """Images, shape (count, 28, 28, *channels): a bar on a background."""
    images = numpy.full((count, 28, 28, *channels), background, numpy.uint8)
    images[:, 6:22, 12:16] = 255 - background
    return images


def image_samples(
    classes: int = 10, count: int = 100, steps: tuple[int, ...] = (0, 40), background: int = 0, **options: Any
) -> dict[str, dict[str, Any]]:
    """All arrays that a run of images can leave."""
    labels = numpy.arange(count) * classes // count
    images = digits(count, background, **options)
    random = numpy.random.default_rng(0)
    grids = {
        f"step_{step:07d}": {"images": images, "labels": labels, "step": step, "epoch": step / 10} for step in steps
    }
    few = digits(20, background, **options)
    return grids | {
        "data": {"images": digits(10 * classes, background, **options), "labels": numpy.arange(10 * classes) // 10},
        "pairs": {"inputs": few, "outputs": few, "answers": few, "labels": numpy.zeros(20, int)},
        "neighbours": {
            "images": few, "neighbours": few, "distances": random.random(100), "held_out_distances": random.random(90),
        },
        "mode_count": {"counts": random.integers(0, 90, classes)},
    }  # fmt: skip


def point_samples(dimensions: int, steps: tuple[int, ...] = (0, 1, 2), count: int = 90) -> dict[str, dict[str, Any]]:
    """The arrays of a run of points."""
    random = numpy.random.default_rng(0)
    line = [numpy.linspace(-1.5, 1.5, 9, dtype=numpy.float32)] * dimensions
    lattice = numpy.stack(numpy.meshgrid(*line, indexing="ij"), -1).reshape(-1, dimensions)
    grids = {
        f"step_{step:07d}": {
            "images": random.normal(size=(count, dimensions)), "labels": numpy.full(count, -1), "step": step,
            "epoch": step / 10, "lattice": lattice, "scores": random.random(len(lattice)), "gradients": 1 - lattice,
        }
        for step in steps
    }  # fmt: skip
    return grids | {
        "data": {"images": random.normal(size=(200, dimensions)), "labels": numpy.zeros(200, int)},
        "mixture": {"counts": random.integers(0, 90, 8)},
    }


def curves_of(
    steps: int, every: int = 1, metrics: tuple[str, ...] = ("fid_200_digits1",)
) -> dict[str, dict[int, float]]:
    """Losses, accuracies and metrics of a run."""
    random = numpy.random.default_rng(0)
    recorded = range(every, steps + 1, every)
    sparse = list(recorded)[:: max(1, len(recorded) // 8)]
    quantities = [f"{player}_{quantity}" for player in ("discriminator", "generator") for quantity in
                  ("loss", "adversarial", "accuracy", "class_accuracy")]  # fmt: skip
    stages = {"train": list(recorded), "epoch": sparse, "val": sparse}
    curves = {
        f"{stage}/{quantity}": {step: float(random.random()) for step in chosen}
        for stage, chosen in stages.items()
        for quantity in quantities
    }
    return curves | {
        f"val/{name}": {step: 1 + 99 * float(random.random()) / step for step in sparse} for name in metrics
    }
