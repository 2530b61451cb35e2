"""Small runs, how to end one at a chosen moment, and how to compare two of them."""

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gans.config.schema import GenerateConfig
from gans.config.validate import check_options
from gans.errors import InterruptedTraining
from gans.gan import GAN
from gans.run import commands
from gans.run.checkpoint_files import load_verified, newest_whole
from gans.run.folder import RunFolder
from gans.run.test_results import read_results
from tests.configs import composed, run_config

NAME = "digits-small"
STEPS = 6
TINY = (
    "data=digits", "data.limit=24", "data.val_size=70", "data.batch_size=8", "model=autoencoder",
    "trainer.max_epochs=2", "trainer.max_steps=null", "trainer.check_val_every_n_epoch=1",
    "checkpoint.every_steps=2", "checkpoint.every_minutes=null", "log_every=2", "samples.count=10", "samples.frames=3",
    "metric=none", "figure=none",
)  # fmt: skip
"""Six training steps in two epochs, with nothing that takes longer than they do."""

Moment = Literal["between the players", "in the evaluation", "in the final test"]


class Crash(Exception):
    """An error that nothing expects."""


def tiny(*overrides: str) -> list[str]:
    """``TINY`` with some options replaced or added; with other data, none of its options of the data."""
    chooses_data = any(text.startswith("data=") for text in overrides)
    base = [text for text in TINY if not (chooses_data and text.startswith("data"))]
    if any(text.startswith("metric=") and text != "metric=none" for text in overrides):
        base.append("evaluated_images=70")
    return list({text.partition("=")[0]: text for text in (*base, *overrides)}.values())


def start(folder: Path, *overrides: str, once: bool = False) -> RunFolder:
    return commands.start(run_config(*tiny(*overrides), f"runs={folder}"), NAME, once=once)


def resume(run: RunFolder, trust: Sequence[str] = (), budget: Mapping[str, int | None] | None = None) -> RunFolder:
    """What ``resume=...`` does, perhaps with another budget of the trainer."""
    fresh = RunFolder(run.path)
    return commands.resume(fresh, commands.read_config(fresh, list(trust), budget))


def test_again(run: RunFolder) -> RunFolder:
    return commands.test(run, commands.read_config(run, []))


def request(run: Path, **options: Any) -> GenerateConfig:
    """The options of generate.py."""
    return check_options(GenerateConfig, composed("run=some", config_name="generate") | {"run": str(run)} | options)


def stopped_run(folder: Path, *overrides: str) -> RunFolder:
    """A run that SIGTERM ended in its fifth step."""
    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", 5, lambda _: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(InterruptedTraining):
            start(folder, *overrides)
    return only_run(folder)


def only_run(folder: Path) -> RunFolder:
    (path,) = folder.glob("*/config.yaml")
    return RunFolder(path.parent)


def do_at(
    patch: pytest.MonkeyPatch, moment: Moment, step: int, action: Callable[[GAN], object], times: int = 1
) -> None:
    """Call a function at a moment of a run, in or after a training step, counted from 1, when it is first reached."""
    done: list[bool] = []

    def act(gan: GAN, now: bool) -> None:
        if now and len(done) < times:
            done.append(True)
            action(gan)

    def replace(name: str, now: Callable[[GAN, Any], bool]) -> None:
        method = getattr(GAN, name)

        def patched(self: GAN, first: Any, *others: Any) -> Any:
            act(self, now(self, first))
            return method(self, first, *others)

        patch.setattr(GAN, name, patched)

    if moment == "between the players":
        replace("update", lambda gan, player: player == "generator" and gan.training_steps == step - 1)
    elif moment == "in the evaluation":
        replace("validation_step", lambda gan, _: gan.training_steps == step)
    else:
        replace("test_step", lambda *_: True)


def checkpoint(run: RunFolder, kind: Literal["last", "best"] = "last") -> dict[str, Any]:
    """The contents of the newest checkpoint."""
    path = newest_whole(run.checkpoints, kind)
    assert path is not None
    return load_verified(path)


def points(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: of each curve the steps and values, of images the steps.

    In order, since TensorBoard reads files of the same second by the names of their processes.
    """
    events = EventAccumulator(str(run.tensorboard), size_guidance={"images": 100, "scalars": 0})
    events.Reload()
    curves = {
        tag: sorted((event.step, event.value) for event in events.Scalars(tag)) for tag in events.Tags()["scalars"]
    }
    return curves | {tag: sorted((event.step, 0.0) for event in events.Images(tag)) for tag in events.Tags()["images"]}


def assert_same(first: Any, second: Any, place: str = "") -> None:
    """Two checkpoints' contents, bit for bit."""
    if isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype, place
        assert torch.equal(first, second), place
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            assert_same(first[key], second[key], f"{place}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{place}/{index}")
    else:
        assert first == second, place


def assert_same_training(first: RunFolder, second: RunFolder) -> None:
    """Two runs have the same curves, in both forms, and the same state at their ends, in every bit."""
    assert first.metrics_file.read_bytes() == second.metrics_file.read_bytes()
    curves, others = points(first), points(second)
    assert curves == others, {tag: (curves.get(tag), others.get(tag)) for tag in curves.keys() | others.keys()
                              if curves.get(tag) != others.get(tag)}  # fmt: skip
    one, other = (checkpoint(run) for run in (first, second))
    for state in (one, other):
        del state["config"]["runs"], state["file_positions"]["events"]  # names of folders and files
    assert_same(one, other)


def assert_same_runs(first: RunFolder, second: RunFolder) -> None:
    """Two runs also have the same best checkpoint, test results and samples."""
    assert_same_training(first, second)
    if newest_whole(first.checkpoints, "best"):
        kept = ("state_dict", "optimizer_states", "training_steps", "callbacks")
        one, other = ({key: checkpoint(run, "best")[key] for key in kept} for run in (first, second))
        assert_same(one, other, "best")
    assert read_results(first.test_results_file) == read_results(second.test_results_file)
    assert [grid.step for grid in first.grids] == [grid.step for grid in second.grids]
    for before, after in zip(first.grids, second.grids, strict=True):
        assert (before.images == after.images).all()
