"""A run that was stopped and resumed equals, in every bit, the run that nothing stopped."""

import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

import gans
from gans.config.build import build_data
from gans.errors import InputError, InterruptedTraining
from gans.gan import GAN
from gans.metrics import synthetic_accuracy
from gans.run.callbacks.progress import Progress
from gans.run.commands import require_reached_limit
from gans.run.folder import RunFolder
from tests.configs import data_for, names, narrow, run_config
from tests.forked import exit_code
from tests.run.killed import train_until_killed
from tests.run.runs import (
    STEPS,
    Crash,
    Moment,
    assert_same,
    assert_same_runs,
    assert_same_training,
    checkpoint,
    do_at,
    only_run,
    resume,
    start,
    tiny,
)
from tests.run.runs import test_again as retest
from tests.training import gan_of, refusal

Unbroken = Callable[..., RunFolder]

STATEFUL = "stabilizers with a state"
MODELS = ("acgan", "autoencoder", "dcgan", "mlp")  # each saves something that the others do not
PLAIN = {
    model: (
        f"model={model}", f"data={'ring' if model == 'mlp' else 'digits'}", "data.batch_size=8",
        *data_for(f"model={model}", train=24, held_out=70), *narrow(f"model={model}"),
    )
    for model in MODELS
}  # fmt: skip
RUNS = PLAIN | {
    STATEFUL: PLAIN["dcgan"],  # the stabilizers themselves: see options_of
    "budget in steps": (*PLAIN["autoencoder"], "trainer.max_epochs=null", "trainer.max_steps=5"),
}
EVALUATED = ("metric=[fid]", "checkpoint.every_steps=1")


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


def options_of(name: str) -> tuple[str, ...]:
    stabilizers = f"stabilize=[{','.join([*stateful(), 'learning_rate_decay'])}]"  # its state is the optimizers'
    return (*EVALUATED, *RUNS[name], *([stabilizers] if name == STATEFUL else []))


@pytest.mark.slow
def test_what_stabilizers_save_is_found() -> None:
    assert set(stateful()) >= {"adaptive_augmentation", "ema", "minibatch_deviation", "optimism", "spectral_norm"}


# --- an error or a signal in this process ----------------------------------------------------------------------------

STOPS: list[tuple[str, Moment, int]] = [
    ("autoencoder", "between the players", 2),
    (STATEFUL, "between the players", 5),
]
MORE_STOPS: list[tuple[str, Moment, int]] = [
    ("acgan", "between the players", 1),
    *((run, "between the players", 4) for run in RUNS),
    *((run, "in the evaluation", 3) for run in ("autoencoder", "mlp", STATEFUL)),
    *((run, "in the final test", STEPS) for run in (STATEFUL, "budget in steps")),
]
CASES = [*STOPS, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_STOPS if case not in STOPS)]


@pytest.mark.parametrize(("name", "moment", "step"), CASES)
def test_a_run_resumes_to_the_same_bits(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, moment: Moment, step: int
) -> None:
    """An error ends some of them, SIGTERM the others."""
    by_error = step % 2 == 1

    def stop(_: GAN) -> None:
        if by_error:
            raise Crash
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        do_at(patch, moment, step, stop)
        with pytest.raises(Crash if by_error else InterruptedTraining):
            start(tmp_path, *options_of(name))
    run = resume(only_run(tmp_path))
    assert_same_runs(unbroken(*options_of(name)), run)
    assert run.history.last == "finished"


@pytest.mark.parametrize(
    ("hook", "saved"), [("on_validation_start", 3), pytest.param("on_train_epoch_start", 4, marks=pytest.mark.slow)]
)
def test_a_signal_between_two_steps_waits_for_a_checkpoint(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str, saved: int
) -> None:
    """Epochs are so short that their checkpoints are left out, but before a validation that may be long."""
    if hook == "on_train_epoch_start":
        monkeypatch.setattr("gans.run.callbacks.checkpoints.LONG", inf)
    monkeypatch.setattr("gans.run.callbacks.checkpoints.EPOCHS_SHARE", -1)

    def stop(_self: Any, _trainer: Any, gan: GAN) -> None:
        if gan.training_steps == 3:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, hook, stop, raising=False)
        with pytest.raises(InterruptedTraining):
            start(tmp_path)
    assert checkpoint(only_run(tmp_path))["training_steps"] == saved
    assert_same_training(unbroken(), resume(only_run(tmp_path)))


def test_ctrl_c_again_stops_at_once(unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the checkpoint of an earlier step, and in a notebook without an end of its process."""

    def stop(_: GAN) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("gans.run.slurm.REPEATED_SECONDS", 0.0)
        do_at(patch, "between the players", 5, stop)
        patch.setattr(Progress, "on_exception", lambda *_: signal.raise_signal(signal.SIGINT), raising=False)
        with pytest.raises(InterruptedTraining, match=r"SIGINT.*resume=") as end:
            start(tmp_path)
    assert end.value.exit_code == 130
    assert checkpoint(only_run(tmp_path))["training_steps"] == 4
    assert_same_training(unbroken(), resume(only_run(tmp_path)))


@pytest.mark.slow
def test_a_closed_terminal_saves_the_run_and_nohup_goes_on(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may have been started by nohup
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "dup2", lambda *_: None)  # the tests' own output goes on
            do_at(patch, "between the players", 3, lambda _: signal.raise_signal(signal.SIGHUP))
            with pytest.raises(InterruptedTraining, match=r"stopped by SIGHUP.*resume=") as end:
                start(tmp_path)
        assert end.value.exit_code == 129
        assert checkpoint(only_run(tmp_path))["training_steps"] == 3
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with pytest.MonkeyPatch.context() as patch:
            do_at(patch, "between the players", 5, lambda _: signal.raise_signal(signal.SIGHUP))
            assert resume(only_run(tmp_path)).history.last == "finished"
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "apart"), [(signal.SIGTERM, 0.0), (signal.SIGINT, 1000.0)])
def test_a_signal_that_repeats_by_itself_is_heard_once(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, apart: float
) -> None:
    """SIGTERM after any time: a dying parent may send it several times, and Python hears the last one late."""

    def stop(_: GAN) -> None:
        signal.raise_signal(number)
        signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr("gans.run.slurm.REPEATED_SECONDS", apart)
        do_at(patch, "between the players", 3, stop)
        with pytest.raises(InterruptedTraining):
            start(tmp_path)
    assert checkpoint(only_run(tmp_path))["training_steps"] == 3
    assert_same_training(unbroken(), resume(only_run(tmp_path)))


@pytest.mark.slow
def test_a_signal_in_the_longest_metric_ends_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the test of a run, of the run that is resumed, and of the test that is repeated, as the messages say."""
    count = synthetic_accuracy.accuracy

    def stop(*arguments: Any) -> float:
        signal.raise_signal(signal.SIGTERM)
        return count(*arguments)

    small = [f"metric.synthetic_accuracy.{option}" for option in ("images=100", "epochs=1")]
    with monkeypatch.context() as patch:
        patch.setattr(synthetic_accuracy, "accuracy", stop)
        with pytest.raises(InterruptedTraining, match="resume=") as end:
            start(tmp_path, *PLAIN["acgan"], "metric=[synthetic_accuracy]", *small)
        assert end.value.exit_code == 128 + signal.SIGTERM
        run = only_run(tmp_path)
        assert (run.history.last, run.test_results_file.exists()) == ("stopped", False)
    resume(run)
    before = run.test_results_file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(synthetic_accuracy, "accuracy", stop)
        with pytest.raises(InterruptedTraining, match="test=") as end:
            retest(run)
        assert end.value.exit_code == 128 + signal.SIGTERM
    assert run.test_results_file.read_bytes() == before
    retest(run)
    assert run.test_results_file.read_bytes() == before
    assert run.history.last == "finished"


@pytest.mark.slow
def test_a_signal_inside_a_library_is_the_same(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's logger turns every Exception of TensorBoard's writer into a ValueError."""
    write = SummaryWriter.add_scalar

    def stop(self: SummaryWriter, tag: str, value: float, step: int, *args: Any) -> None:
        if step == 3 and tag.startswith("epoch/"):
            signal.raise_signal(signal.SIGTERM)
        write(self, tag, value, step, *args)

    with monkeypatch.context() as patch:
        patch.setattr(SummaryWriter, "add_scalar", stop)
        with pytest.raises(InterruptedTraining):
            start(tmp_path, "checkpoint.every_steps=1")
    assert checkpoint(only_run(tmp_path))["training_steps"] == 3
    assert_same_training(unbroken("checkpoint.every_steps=1"), resume(only_run(tmp_path)))


# --- a real signal ---------------------------------------------------------------------------------------------------

KILLS: list[tuple[signal.Signals, Moment, int]] = [
    (signal.SIGKILL, "between the players", 4),
]
MORE_KILLS: list[tuple[str, signal.Signals, Moment, int]] = [
    ("acgan", signal.SIGTERM, "between the players", 1),
    ("acgan", signal.SIGKILL, "between the players", 4),
    (STATEFUL, signal.SIGKILL, "between the players", 1),
    ("autoencoder", signal.SIGINT, "between the players", 2),
    ("autoencoder", signal.SIGTERM, "in the evaluation", 3),
    ("autoencoder", signal.SIGKILL, "in the evaluation", 3),
    ("autoencoder", signal.SIGKILL, "in the final test", STEPS),
]


@pytest.mark.parametrize(
    ("name", "number", "moment", "step"),
    [
        *(("autoencoder", *case) for case in KILLS),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_KILLS),
    ],
)
def test_a_killed_process_resumes_to_the_same_bits(
    unbroken: Unbroken, tmp_path: Path, name: str, number: signal.Signals, moment: Moment, step: int
) -> None:
    options = options_of(name)
    ended = exit_code(train_until_killed, tmp_path, options, number, moment, step)
    run = only_run(tmp_path)
    if number == signal.SIGKILL:
        assert ended == -signal.SIGKILL
    else:
        assert ended == 128 + number
        assert checkpoint(run)["training_steps"] == step
        assert run.history.last == "stopped"
    assert_same_runs(unbroken(*options), resume(run))


# --- what else changes no bit ----------------------------------------------------------------------------------------


def test_a_finished_run_that_is_resumed_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not tested again either; the command that trains longer is printed."""
    run = start(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"}
    capsys.readouterr()
    resume(run)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"} == before
    assert "trainer.max_epochs=4" in capsys.readouterr().out


def test_results_of_an_earlier_end_do_not_outlive_it(tmp_path: Path) -> None:
    """They are not those of a run that was trained longer, and stopped before it was tested."""
    first = start(tmp_path, "trainer.max_epochs=1")
    files = first.test_results_file, first.verdict_file, first.samples_file("pairs")
    assert all(file.exists() for file in files)
    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", 5, lambda _: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(InterruptedTraining):
            resume(first, budget={"max_epochs": 2})
    assert not any(file.exists() for file in files)


@pytest.mark.parametrize(
    ("short", "longer"),
    [
        ({"max_epochs": 1}, {"max_epochs": 2}),
        pytest.param({"max_steps": 4}, {"max_steps": None}, marks=pytest.mark.slow),
        pytest.param({"max_steps": 3}, {"max_steps": 5}, marks=pytest.mark.slow),
    ],
)
def test_a_run_with_a_longer_budget_continues_as_if_it_had_been_the_first(
    unbroken: Unbroken, tmp_path: Path, short: dict[str, int | None], longer: dict[str, int | None]
) -> None:
    def options(budget: dict[str, int | None]) -> list[str]:
        values = [f"trainer.{name}={'null' if value is None else value}" for name, value in budget.items()]
        return [*values, "samples.frames=6"]  # a frame for each step, whatever the budget

    first = start(tmp_path, *options(short))
    assert_same_training(unbroken(*options(longer)), resume(first, budget=longer))


def test_a_budget_that_is_spent_is_refused(tmp_path: Path) -> None:
    run = start(tmp_path, "trainer.max_steps=5")
    before = run.config_file.read_bytes()
    for name, value in (("max_steps", 4), ("max_epochs", 1), ("max_epochs", 0)):
        with pytest.raises(InputError, match=f"trainer.{name}={value}"):
            resume(run, budget={name: value})
    assert run.config_file.read_bytes() == before
    assert run.history.last == "finished"


@pytest.mark.parametrize(
    ("changed", "before", "word"),
    [
        ({"max_steps": 7}, {}, "trainer.max_epochs=2 ends training after 6 steps.*trainer.max_epochs=null"),
        ({"max_epochs": 3}, {"max_steps": 5}, "trainer.max_steps=5 ends training after 5 steps"),
        ({"max_steps": 5}, {}, None), ({"max_steps": 7, "max_epochs": None}, {}, None), ({}, {"max_steps": 7}, None),
        ({"max_steps": 7, "max_epochs": 1}, {}, None),
    ],
)  # fmt: skip
def test_a_limit_that_is_never_reached_is_refused(
    changed: dict[str, int | None], before: dict[str, int], word: str | None
) -> None:
    usual = {"max_epochs": 2, "max_steps": None} | before
    data = build_data(run_config(*tiny()))
    with pytest.raises(InputError, match=word) if word else nullcontext():
        require_reached_limit(usual | changed, usual, data)


def test_limits_are_compared_with_the_models_and_the_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer\.max_steps=5000 is never reached"):
        gans.train("data=digits", "data.limit=64", "model=dcgan", "trainer.max_steps=5000", f"runs={tmp_path / 'no'}")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"trainer\.max_steps=5000 is never reached"):
        resume(start(tmp_path), budget={"max_steps": 5000})


@pytest.mark.parametrize(
    "overrides",
    [
        ["log_every=1", "checkpoint.every_steps=1"],
        ["samples.frames=6", "samples.count=3", "metric=[fid,neighbours]"],
        pytest.param(["trainer.check_val_every_n_epoch=2"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_logging_checkpoints_and_evaluation_change_no_bit_of_training(
    unbroken: Unbroken, tmp_path: Path, overrides: list[str]
) -> None:
    states = [checkpoint(run) for run in (unbroken(), start(tmp_path, *overrides))]
    for name in ("state_dict", "optimizer_states", "training_steps"):
        assert_same(states[0][name], states[1][name], name)
