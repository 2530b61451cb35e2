"""A run that was killed and went on equals, in every bit, the run that was never stopped."""

import signal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from gans.run.export import read_checkpoint
from gans.run.history import History
from gans.run.test_results import read_results
from gans.run.folder import Run
from tests.conftest import data_for, names
from tests.killed import MOMENTS, go_on, in_a_process, train, train_until_killed
from tests.test_matrix import gan_of, refusal

STEPS = 6
SMALL = (
    "data.batch_size=8", "trainer.max_epochs=2", "trainer.max_steps=null", "trainer.check_val_every_n_epoch=1",
    "log_every=2", "samples.count=10", "samples.frames=3", "evaluated_images=70", "metric=[fid]",
    "checkpoint.every_steps=1", "checkpoint.every_minutes=null",
)  # fmt: skip
MODELS = ("acgan", "autoencoder", "dcgan", "wgan", "mlp")  # each that keeps something of a kind of its own
STATEFUL = "stateful stabilizers"
PLAIN = {model: (f"model={model}", *data_for(f"model={model}", train=24, held_out=70)) for model in MODELS}
RATES = "learning_rate_decay"  # kept with the optimizers' options
RUNS = PLAIN | {
    STATEFUL: (*PLAIN["dcgan"], "checkpoint.every_steps=2"),  # the stabilizers themselves: see overrides
    "budget in steps": (*PLAIN["autoencoder"], "trainer.max_epochs=null", "trainer.max_steps=5"),
}
CASES = [
    (run, number, step, moment)
    for run in RUNS
    for number in (signal.SIGTERM, signal.SIGKILL)
    for step in range(1, STEPS + 1)
    for moment in MOMENTS
    if moment != "in the evaluation" or step in (STEPS // 2, STEPS)
    if run != "budget in steps" or step < STEPS
]
SAMPLE = CASES[::11]


def kept(stabilizer: str) -> set[str]:
    """The names of what a GAN with a stabilizer saves."""
    gan = gan_of("dcgan", "bce", [stabilizer])
    optimizers = gan.configure_optimizers()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.zeros_like(weight)
        optimizer.step()
    moments = {key for optimizer in optimizers for state in optimizer.state.values() for key in state}
    return moments | set(gan.state_dict())


@cache
def stateful() -> list[str]:
    """Every stabilizer with which a DCGAN saves more than without, and that goes with those before it."""
    found: list[str] = []
    for name in names("stabilize"):
        if not refusal("dcgan", "bce", [*found, name]) and kept(name) - kept("none"):
            found.append(name)
    return found


def overrides(run: str) -> tuple[str, ...]:
    if run != STATEFUL:
        return *SMALL, *RUNS[run]
    return *SMALL, *RUNS[run], f"stabilize=[{','.join([*stateful(), RATES])}]"


def test_what_stabilizers_keep_is_found() -> None:
    assert set(stateful()) >= {"adaptive_augmentation", "ema", "minibatch_deviation", "optimism", "spectral_norm"}


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The runs that nobody stopped, made when they are first asked for."""
    return _Unbroken(tmp_path_factory.mktemp("unbroken"))


class _Unbroken(dict[str, Run]):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, name: str) -> Run:
        assert in_a_process(train, self.folder / name, overrides(name)) == 0
        self[name] = only_run(self.folder / name)
        return self[name]


def only_run(folder: Path) -> Run:
    (path,) = folder.iterdir()
    return Run(path)


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


def contents(run: Run, name: str) -> dict[str, Any]:
    """All of a checkpoint but where the run is, and how its TensorBoard files are called."""
    checkpoint = read_checkpoint(run.path / "checkpoints" / name)
    del checkpoint["config"]["runs"], checkpoint["records"]["events"]
    return checkpoint


def assert_equal_runs(first: Run, second: Run) -> None:
    assert (first.path / "metrics.csv").read_bytes() == (second.path / "metrics.csv").read_bytes()
    assert_same(contents(first, "last.ckpt"), contents(second, "last.ckpt"))
    kept = ("state_dict", "optimizer_states", "training_steps", "callbacks")
    one, other = ({key: contents(run, "best.ckpt")[key] for key in kept} for run in (first, second))
    assert_same(one, other, "best.ckpt")
    tested = [read_results(run.path / "test.json").checkpoints for run in (first, second)]
    assert tested[0] == tested[1]
    assert [grid.step for grid in first.grids] == [grid.step for grid in second.grids]
    for before, after in zip(first.grids, second.grids, strict=True):
        assert (before.images == after.images).all()


def check_killed_run(unbroken: dict[str, Run], folder: Path, case: tuple[str, signal.Signals, int, str]) -> None:
    name, number, step, moment = case
    ended = in_a_process(train_until_killed, folder, overrides(name), number, step, moment)
    run = only_run(folder)
    if number == signal.SIGKILL:
        assert ended == -signal.SIGKILL
    else:
        assert ended == 128 + number
        saved = read_checkpoint(run.last_checkpoint)["training_steps"]
        assert step <= saved <= step + (moment == "in the evaluation")  # what is not saved yet waits for the next step
    assert in_a_process(go_on, run.path) == 0
    assert_equal_runs(unbroken[name], run)
    assert History(run.path).last == "finished"


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_run_killed_anywhere_goes_on_to_the_same_bits(
    unbroken: dict[str, Run], tmp_path: Path, case: tuple[str, signal.Signals, int, str]
) -> None:
    check_killed_run(unbroken, tmp_path / "run", case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in SAMPLE], ids=str)
def test_a_run_killed_at_every_batch_goes_on_to_the_same_bits(
    unbroken: dict[str, Run], tmp_path: Path, case: tuple[str, signal.Signals, int, str]
) -> None:
    check_killed_run(unbroken, tmp_path / "run", case)
