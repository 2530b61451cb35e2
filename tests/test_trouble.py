"""What can happen to a run's folder and process, and the line that answers it."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gans import slurm
from gans.run.callbacks.provenance import Record
from gans.run.checkpoint_files import CheckedCheckpoints, digest_of, previous_path, write_digests
from gans.errors import InputError, InterruptedTraining
from gans.run.export import read_checkpoint
from gans.gan import GAN
from gans.run.history import History
from gans.run.folder import Run
from gans.run.commands import run_lock, resume_run, start_or_requeued, start_run
from tests.conftest import ROOT, composed
from tests.test_commands import Command, Evil, command
from tests.test_resume import PLAIN, SMALL, assert_same, contents

__all__ = ["command"]

CHOICES = {"data": "d", "model": "m", "objective": "o"}
OPTIONS = (*PLAIN["autoencoder"], *SMALL, "metric=none", "checkpoint.every_steps=2")


def train(folder: Path, *overrides: str) -> Run:
    return start_run(composed(f"runs={folder}", *OPTIONS, *overrides), CHOICES)


def stop_at(patch: pytest.MonkeyPatch, step: int, number: int = signal.SIGTERM) -> None:
    training_step = GAN.training_step

    def stepped(self: GAN, *arguments: Any) -> None:
        if self.training_steps == step - 1:
            signal.raise_signal(number)
        training_step(self, *arguments)

    patch.setattr(GAN, "training_step", stepped)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that was stopped after its fifth step of six."""
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(InterruptedTraining, match=r"stopped by SIGTERM\. Go on with: python train\.py resume="):
            train(tmp_path / "stopped")
    (path,) = (tmp_path / "stopped").iterdir()
    return Run(path)


def assert_same_training(first: Run, second: Run) -> None:
    assert (first.path / "metrics.csv").read_text() == (second.path / "metrics.csv").read_text()
    assert_same(contents(first, "last.ckpt"), contents(second, "last.ckpt"))


def points(run: Run) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    images = {tag: [(event.step, 0.0) for event in events.Images(tag)] for tag in events.Tags()["images"]}
    return found | images


def test_tensorboard_has_no_gap_and_no_double(stopped: Run, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    assert points(resume_run(stopped.path)) == points(whole)
    resumed_when_finished = resume_run(stopped.path)
    assert points(resumed_when_finished) == points(whole)
    assert_same_training(whole, resumed_when_finished)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (["trainer.max_epochs=1"], ["trainer.max_epochs=2"]),
        (["trainer.max_steps=4"], ["trainer.max_steps=null"]),
        (["trainer.max_steps=3"], ["trainer.max_steps=5"]),
    ],
)
def test_a_longer_budget_goes_on_as_if_it_had_been_the_first(
    command: Command, tmp_path: Path, short: list[str], long: list[str]
) -> None:
    whole = train(tmp_path / "whole", *long)
    first = train(tmp_path / "short", *short)
    code, _, errors = command("train.py", f"resume={first.path}", *long)
    assert code == 0, errors
    assert_same_training(whole, Run(first.path))


@pytest.mark.parametrize("hook", ["on_validation_start", "on_train_epoch_start"])
def test_a_signal_between_two_steps_where_the_last_one_is_not_saved_waits_for_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    """It does so too where the epoch's own checkpoint was left out to save time."""
    monkeypatch.setattr("gans.run.callbacks.checkpoints.EPOCHS_SHARE", -1)

    def raised(_self: Any, _trainer: Any, gan: GAN) -> None:
        if gan.training_steps == 3:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Record, hook, raised, raising=False)
        with pytest.raises(InterruptedTraining, match="stopped by SIGTERM"):
            train(tmp_path / "stopped")
    (path,) = (tmp_path / "stopped").iterdir()
    assert read_checkpoint(path / "checkpoints" / "last.ckpt")["training_steps"] == 4
    assert_same_training(train(tmp_path / "whole"), resume_run(path))


def test_a_budget_that_is_spent_and_other_options_are_refused(command: Command, stopped: Run) -> None:
    before = (stopped.path / "config.yaml").read_bytes()
    for option, message in (
        ("trainer.max_steps=4", "trainer.max_steps=4 is less than the 5 steps that the run has trained"),
        ("trainer.max_epochs=1", "trainer.max_epochs=1 is less than the 5 steps"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0"),
        ("seed=1", "can't be combined with seed=1"),
        ("trainer.precision=bf16-mixed", "can't be combined with trainer.precision=bf16-mixed"),
    ):
        code, _, errors = command("train.py", f"resume={stopped.path}", option)
        assert (code, message in errors) == (2, True), errors
    assert (stopped.path / "config.yaml").read_bytes() == before
    assert History(stopped.path).last == "stopped"


def test_a_damaged_checkpoint_gives_way_to_its_predecessor(
    stopped: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stopped.last_checkpoint
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert_same_training(train(tmp_path / "whole"), resume_run(stopped.path))
    captured = capsys.readouterr()
    assert "is damaged, and set aside as 'last.ckpt.damaged': going on from its predecessor" in captured.err
    assert "going on from training step 4" in captured.out


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("history.json", 2, r"history.json' is damaged .*: delete it"),
        ("versions.json", 2, r"versions.json' is damaged .*: delete it"),
        ("config.yaml", 2, r"config.yaml' can't be read"),
        ("samples/step_0000000.npz", 2, r"step_0000000.npz' is damaged .*: delete it"),
        ("samples/data.npz", 2, r"data.npz' is damaged .*: delete it"),
        ("checkpoints/last.ckpt.sha256", 0, "going on from its predecessor"),
        ("metrics.csv", 0, "its curves have a gap"),
    ],
)
def test_a_damaged_file_is_named_and_said_what_to_do_about(
    command: Command, stopped: Run, name: str, code: int, message: str
) -> None:
    path = stopped.path / name
    path.write_bytes(b"\xff\x00 damaged {")
    ended, _, errors = command("train.py", f"resume={stopped.path}")
    assert ended == code, errors
    assert re.search(message, errors), errors
    assert "Traceback" not in errors
    if code:
        path.unlink()
        if name != "config.yaml":
            assert command("train.py", f"resume={stopped.path}")[0] == 0


def test_lost_checkpoints_are_said_to_be_lost(stopped: Run) -> None:
    for path in (stopped.last_checkpoint, previous_path(stopped.last_checkpoint)):
        path.unlink()
    with pytest.raises(InputError, match="is lost, and so is its predecessor"):
        resume_run(stopped.path)


def test_a_run_that_stopped_before_its_first_checkpoint_begins_anew(stopped: Run, tmp_path: Path) -> None:
    for path in (*(stopped.path / "checkpoints").iterdir(), stopped.path / "metrics.csv"):
        path.unlink()
    assert_same_training(train(tmp_path / "whole"), resume_run(stopped.path))


def test_damaged_and_lost_curves_are_announced(stopped: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (events,) = (stopped.path / "tensorboard").glob("*tfevents*")
    content = bytearray(events.read_bytes())
    content[100] ^= 1
    events.write_bytes(content)
    rows = (stopped.path / "metrics.csv").read_text().splitlines(keepends=True)
    (stopped.path / "metrics.csv").write_text("".join(rows[:2]))
    resume_run(stopped.path)
    warned = capsys.readouterr().err
    assert "is damaged, and set aside as" in warned
    assert "has only 1 of " in warned
    for path in (stopped.path / "tensorboard").glob("*tfevents*"):
        path.unlink()
    resume_run(stopped.path)
    assert "is lost from" in capsys.readouterr().err


def test_two_processes_never_train_one_run(stopped: Run) -> None:
    with run_lock(stopped.path), pytest.raises(InputError, match="in the hands of another process"):
        resume_run(stopped.path)
    resume_run(stopped.path)


def test_a_change_of_software_is_announced(stopped: Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = stopped.path / "versions.json"
    path.write_text(re.sub(r'"torch": "[^"]+"', '"torch": "1.0"', path.read_text()))
    resume_run(stopped.path)
    assert "packages.torch was 1.0 and is " in capsys.readouterr().err


def test_a_deleted_run_folder_ends_in_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training_step = GAN.training_step

    def stepped(self: GAN, *arguments: Any) -> None:
        if self.training_steps == 2:
            shutil.rmtree(tmp_path / "runs")
        training_step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(GAN, "training_step", stepped)
        code, _, errors = command("train.py", *OPTIONS)
    assert code == 2
    assert re.search(r"^error: No such file or directory: 'runs/\S+' can't be written and is incomplete", errors, re.M)
    assert not (tmp_path / "runs").exists()


def test_a_disk_that_is_full_ends_in_one_line_and_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))  # writing more fails as on a full disk

    command = [sys.executable, str(ROOT / "train.py")]
    done = subprocess.run([*command, *OPTIONS], cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(r"error: File too large: 'runs/\S+' can't be written and is incomplete\. .*resume=\S+", last)
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert not list((folder / "checkpoints").iterdir())

    subprocess.run([*command, f"resume={folder}"], cwd=tmp_path, check=True)
    assert History(folder).last == "finished"


def test_a_read_only_place_is_refused_before_anything_runs(command: Command) -> None:
    code, output, errors = command("train.py", *OPTIONS, "runs=/proc/runs")
    assert (code, output) == (2, "")
    assert re.fullmatch(r"error: can't make '/proc/runs/[^\n]+\n", errors)


def test_a_run_folder_that_was_tampered_with_is_refused_and_runs_nothing(
    command: Command, stopped: Run, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    good = stopped.last_checkpoint.read_bytes()
    config = (stopped.path / "config.yaml").read_text()

    def refused(message: str, option: str = "resume") -> None:
        code, _, errors = command("train.py", f"{option}={stopped.path}")
        assert code == 2, errors
        assert re.search(message, errors), errors
        assert "Traceback" not in errors
        assert not (tmp_path / "owned").exists()
        assert not list(outside.iterdir())

    checkpoint = torch.load(stopped.last_checkpoint, weights_only=True)
    for held, message in (
        (Evil(), "is not a checkpoint that can be loaded safely"),
        (checkpoint | {"records": {"rows": "many", "events": {}}}, "rows=many"),
        (checkpoint | {"records": None}, "written by another version"),
        ({"state_dict": {}, "config": {}, "training_steps": 3}, "another model"),
        ({"state_dict": [], "config": {}, "training_steps": 3}, "not a checkpoint of this package"),
    ):
        for path in stopped.last_checkpoint.parent.iterdir():
            path.unlink()
        torch.save(held, stopped.last_checkpoint)
        write_digests(stopped.last_checkpoint, [digest_of(stopped.last_checkpoint.read_bytes())])
        refused(message)

    stopped.last_checkpoint.write_bytes(good)
    write_digests(stopped.last_checkpoint, [digest_of(good)])
    for group, node in {
        "model": {"_target_": "os.mkdir", "path": "owned"},
        "trainer": {"_target_": "os.mkdir", "path": "owned"},
        "data": {"_target_": "gans.run.folder.csv.os.mkdir", "path": "owned"},
    }.items():
        OmegaConf.save(stopped.config | {group: node}, stopped.path / "config.yaml")
        refused("_target_|another")
    (stopped.path / "config.yaml").write_text(config)

    for name in ("checkpoints", "tensorboard", "samples"):
        moved = tmp_path / f"moved_{name}"
        (stopped.path / name).rename(moved)
        (stopped.path / name).symlink_to(outside)
        refused("leads out of the run folder")
        refused("leads out of the run folder", "test")
        assert "leads out of the run folder" in command("generate.py", f"run={stopped.path}")[2]
        (stopped.path / name).unlink()
        moved.rename(stopped.path / name)


def test_names_in_a_checkpoint_reach_no_file_outside(stopped: Run, tmp_path: Path) -> None:
    victim = tmp_path / "victim.tfevents"
    victim.write_text("precious")
    checkpoint = torch.load(stopped.last_checkpoint, weights_only=True)
    checkpoint["records"]["events"] = {"../../../victim.tfevents": [3, 0], str(victim): [3, 0]}
    CheckedCheckpoints().save_checkpoint(checkpoint, stopped.last_checkpoint)
    resume_run(stopped.path)
    assert victim.read_text() == "precious"


def test_a_slurm_job_asks_to_be_requeued_and_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_NTASKS", "3")
    config = composed(f"runs={tmp_path / 'runs'}", *OPTIONS)
    with monkeypatch.context() as patch:
        stop_at(patch, 4, signal.SIGUSR1)
        with pytest.raises(InterruptedTraining, match="job 7 is requeued, and goes on by itself") as stop:
            start_or_requeued(config, CHOICES)
    assert stop.value.exit_code == 128 + signal.SIGUSR1
    assert (tmp_path / "asked").read_text() == "requeue 7\n"

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    run = start_or_requeued(config, CHOICES)
    assert "going on from training step 4" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.path.name]
    assert [event["event"] for event in History(run.path).events] == ["started", "stopped", "resumed", "finished"]
    assert_same_training(train(tmp_path / "whole"), run)

    monkeypatch.setenv("SLURM_JOB_ID", "8")  # another job begins a run of its own
    assert start_or_requeued(config, CHOICES).path.name == f"{run.path.name}_2"


def test_a_requeue_that_fails_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "3")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "5")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.job() == "3_5"
    assert slurm.requeue().startswith("'scontrol requeue 3_5' failed: ")


@pytest.mark.parametrize(
    "overrides",
    [
        ["log_every=1"],
        ["checkpoint.every_steps=1"],
        ["trainer.check_val_every_n_epoch=2"],
        ["samples.frames=6", "samples.count=3"],
        ["metric=[fid,neighbours]"],
    ],
)
def test_logging_checkpoints_and_evaluation_change_no_bit_of_training(tmp_path: Path, overrides: list[str]) -> None:
    first, second = train(tmp_path / "one"), train(tmp_path / "other", *overrides)
    checkpoints = [read_checkpoint(run.last_checkpoint) for run in (first, second)]
    for kept in ("state_dict", "optimizer_states", "training_steps"):
        assert_same(checkpoints[0][kept], checkpoints[1][kept], kept)
