"""A value that is not finite in a whole run: its step is never saved, and the run stops or is rolled back."""

import math
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gans.errors import InterruptedTraining, TrainingError
from gans.gan import GAN
from gans.metrics.evaluator import Evaluator, GeneratedSamples, MetricResults, Subset
from gans.run.folder import RunFolder
from tests.run.runs import Crash, checkpoint, do_at, only_run, points, resume, start

STEP = 5
"""The step that fails. The checkpoint before it is of step 4."""


def spoil_the_gradient(gan: GAN) -> None:
    next(gan.generator.parameters()).register_hook(lambda gradient: torch.full_like(gradient, math.nan))


def train(folder: Path, *overrides: str, failures: int) -> RunFolder:
    """A run in which a step fails so many times."""
    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", STEP, spoil_the_gradient, times=failures)
        start(folder, *overrides)
    return only_run(folder)


@pytest.mark.slow
def test_a_run_stops_at_the_step_and_saves_nothing_of_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=rf"nan at training step {STEP}") as error:
        train(tmp_path, "figure=[curves]", failures=1)
    assert error.value.exit_code == 3
    run = only_run(tmp_path)
    saved = checkpoint(run)
    assert saved["training_steps"] == STEP - 1
    kept = [*saved["state_dict"].values()]
    kept += [
        value for each in saved["optimizer_states"] for state in each["state"].values() for value in state.values()
    ]
    assert all(torch.as_tensor(value).isfinite().all() for value in kept)
    assert run.history.last == "failed"
    assert run.history.failure is not None
    assert run.history.failure[0] == STEP
    assert run.verdict_file.is_file()
    assert list(run.figures.glob("*.png"))
    resume(run)  # what has made the value is gone
    assert run.history.last == "finished"


def test_a_signal_in_the_step_that_fails_stops_the_run_after_the_rollback(tmp_path: Path) -> None:
    def fail_and_signal(gan: GAN) -> None:
        spoil_the_gradient(gan)
        signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", STEP, fail_and_signal)
        with pytest.raises(InterruptedTraining):
            start(tmp_path, "on_nan=rollback")
    run = resume(only_run(tmp_path))
    events = ["started", "rolled back", "stopped", "resumed", "finished"]
    assert [event["event"] for event in run.history.events] == events


@pytest.mark.slow
def test_a_rollback_continues_with_other_random_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path / "rolled back", "on_nan=rollback", "log_every=1", failures=1)
    assert [event["event"] for event in run.history.events] == ["started", "rolled back", "finished"]
    assert run.history.events[1]["to_step"] == STEP - 1
    assert f"step {STEP - 1}" in capsys.readouterr().err
    losses = points(run)["train/generator_loss"]
    assert [step for step, _ in losses] == [1, 2, 3, 4, 5, 6]
    straight = points(start(tmp_path / "straight", "log_every=1"))["train/generator_loss"]
    assert [first == second for first, second in zip(losses, straight, strict=True)] == [True] * 4 + [False] * 2


@pytest.mark.slow
def test_a_run_that_was_rolled_back_resumes_on_its_new_path(tmp_path: Path) -> None:
    """In both runs the fifth step fails once; then one is stopped in the sixth, and resumed."""
    whole = train(tmp_path / "whole", "on_nan=rollback", failures=1)

    def crash(_: GAN) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", 6, crash)
        with pytest.raises(Crash):
            train(tmp_path / "stopped", "on_nan=rollback", failures=1)
    resumed = resume(only_run(tmp_path / "stopped"))
    assert whole.metrics_file.read_text() == resumed.metrics_file.read_text()


def test_rollbacks_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="rollbacks") as error:
        train(tmp_path, "on_nan=rollback", "rollbacks=2", failures=3)
    assert error.value.exit_code == 3
    assert only_run(tmp_path).history.count("rolled back") == 2


@pytest.mark.parametrize("on_nan", ["stop", "rollback"])
def test_samples_that_are_not_finite_are_a_failure_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_nan: str
) -> None:
    """Seen in a validation, of which no step of training knows."""
    evaluate = Evaluator.evaluate
    seen: list[str] = []

    def evaluate_nan_first(self: Evaluator, subset: Subset, generated: GeneratedSamples) -> MetricResults:
        seen.append(subset)
        images = torch.full_like(generated.images, math.nan) if len(seen) == 1 else generated.images
        return evaluate(self, subset, replace(generated, images=images))

    monkeypatch.setattr(Evaluator, "evaluate", evaluate_nan_first)
    asked = ("metric=[class_histogram]", "trainer.max_epochs=2", f"on_nan={on_nan}", "checkpoint.every_steps=1")
    if on_nan == "rollback":
        run = start(tmp_path, *asked)
        assert run.history.count("rolled back") == 1
        assert [event["to_step"] for event in run.history.events if "to_step" in event] == [2]  # 3 would be seen again
        assert run.history.last == "finished"
    else:
        with pytest.raises(TrainingError, match="not finite"):
            start(tmp_path, *asked)
        failure = only_run(tmp_path).history.failure
        assert failure is not None
        assert failure[0] > 0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e38])
def test_samples_that_are_not_finite_give_no_warning_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    sample = GAN.sample
    monkeypatch.setattr(GAN, "sample", lambda gan, inputs: torch.full_like(sample(gan, inputs), value))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        start(tmp_path, "trainer.max_steps=1")
    assert not [each for each in caught if issubclass(each.category, RuntimeWarning)]
