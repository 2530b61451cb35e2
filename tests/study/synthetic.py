"""Run folders whose truth is known, written without training."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from gans.files import write_arrays, write_json
from gans.run.folder import RunFolder
from gans.run.metrics_file import write_rows
from gans.run.test_results import CheckpointResults, TestResults

STEPS = 1000
PROTOCOL = "1000_digits1"
COLLAPSE = "mode collapse"


def write_run(
    folder: Path,
    config: dict[str, Any],
    figures: Mapping[str, float],
    *,
    labels: Sequence[str] = (),
    failed_at: int | None = None,
    images: int = 20,
    moments: int = 6,
    protocol: str = PROTOCOL,
    features: str = "0" * 64,
) -> RunFolder:
    """A run that is over.

    Args:
        figures: of the test, without their protocol.
        labels: of the verdict, each from half of the training on.
        features: the hash of the network that the test used.
        failed_at: the step at which a value was not finite; such a run has no test results.
    """
    folder.mkdir(parents=True)
    run = RunFolder.create(folder, config)
    random = numpy.random.default_rng(config["seed"])
    run.history.add("started", slurm_job=None, data_sha256="a" * 64)
    last = failed_at or STEPS
    steps = numpy.arange(10, last + 1, 10)
    rows = [
        {
            "step": int(step),
            "epoch": step / 100,
            "train/generator_loss": 1 + 0.1 * random.normal(),
            "train/discriminator_loss": 0.7 + 0.05 * random.normal(),
            "train/discriminator_accuracy": 0.6 + 0.02 * random.normal(),
            f"val/fid_{protocol}": figures["fid"] * (1 + 3 * math.exp(-step / 200)) if step % 100 == 0 else "",
        }
        for step in steps
    ]
    write_rows(run.metrics_file, list(rows[0]), rows)
    for step in numpy.linspace(0, last, moments).astype(int):
        sharpness = step / STEPS
        shade = numpy.linspace(0, 255, images)[:, None, None] * numpy.ones((1, 8, 8))
        picture = sharpness * shade + (1 - sharpness) * random.uniform(0, 255, (images, 8, 8))
        write_arrays(
            run.grid_file(int(step)), images=picture.astype(numpy.uint8), labels=numpy.arange(images) % 10,
            step=int(step), epoch=step / 100,
        )  # fmt: skip
    period = {"first_step": last // 2, "last_step": last, "why": "by construction"}
    verdict = {"labels": dict.fromkeys(labels, period) or {"healthy": period},
               "late_fluctuation": {"discriminator_loss": figures.get("fluctuation", 0.1)}}  # fmt: skip
    write_json(run.verdict_file, verdict)
    write_json(run.versions_file, {"device": "cpu (x86_64)", "precision": "32-true", "threads": 1, "python": "3.11"})
    if failed_at is not None:
        run.history.add("failed", training_step=failed_at, why="the generator's loss is nan")
        return RunFolder(folder)
    results = {f"{name}_{protocol}": value for name, value in figures.items() if name != "fluctuation"}
    floors = {f"fid_{protocol}": 0.5}
    TestResults(
        held_out_images=1000,
        evaluated_images=1000,
        features=features,
        checkpoints={"last": CheckpointResults(training_steps=STEPS, results=results)},
        floors=floors,
        left_out={},
    ).write(run.test_results_file)
    run.history.add("finished")
    return RunFolder(folder)


def figures_of(arm: str, seed: int) -> dict[str, float]:
    """FID with a spread of 15 % that seeds share by half: ``better`` has 20 % less, ``worse`` a third more, ``equal``
    almost none less; the rest follows FID."""
    shared = numpy.random.default_rng(seed).normal()
    own = numpy.random.default_rng([seed, *arm.encode()]).normal()
    factor = {"better": 0.8, "worse": 1.33}.get(arm, 1.0)
    fid = 10 * factor * math.exp(0.13 * shared + (0.02 if arm == "equal" else 0.07) * own)
    return {"fid": fid, "recall": 1 / (1 + fid / 10), "fluctuation": 0.1 * math.exp(0.2 * own)}


def read_verdict(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
