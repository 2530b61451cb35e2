"""A sweep whose members fail, and one that is stopped and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gans.gan import GAN
from gans.history import History
from tests.conftest import ROOT
from tests.test_commands import SMALL, Command, command

__all__ = ["command"]

BASE = ["model=autoencoder", "metric=none", *(option for option in SMALL if not option.startswith("metric"))]


def members(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("runs/sweeps/*/members/*.json"))]


def events(folder: Path) -> list[str]:
    return [event["event"] for event in History(folder).events]


def test_a_sweep_goes_on_after_a_member_that_fails_and_then_runs_only_what_is_missing(
    command: Command, tmp_path: Path
) -> None:
    sweep = ["-m", *BASE, "data.batch_size=20,5000,25", "seed=0,1"]
    code, output, errors = command("train.py", *sweep)
    assert code == 2
    assert "sweep: 4 of 6 members are finished" in output
    failures = [line for line in errors.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 4  # two when they fail, and again at the end
    assert all("data.batch_size=5000" in line and "more than the" in line for line in failures)
    assert [bool(member["failed"]) for member in members(tmp_path)] == [False, False, True, True, False, False]
    folders = sorted((tmp_path / "runs").glob("digits-*"))
    assert len(folders) == 4

    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("digits-*/**/*")}
    code, output, _ = command("train.py", *[text.replace("20,5000,25", "20,25,30") for text in sweep])
    assert code == 0
    assert output.count("finished before: ") == 4
    assert "sweep: 6 of 6 members are finished" in output
    assert len(list((tmp_path / "runs").glob("digits-*"))) == 6
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_a_member_that_stopped_goes_on_where_it_was(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_step = GAN.training_step

    def interrupted(self: GAN, *arguments: Any) -> None:
        if self.seed == 1 and self.training_steps == 0:
            signal.raise_signal(signal.SIGTERM)
        training_step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(GAN, "training_step", interrupted)
        code, _, errors = command("train.py", "-m", *BASE, "seed=0,1,2")
    assert code == 143
    assert "The same command goes on with the whole sweep" in errors.splitlines()[-1]
    code, output, _ = command("train.py", "-m", *BASE, "seed=0,1,2")
    assert code == 0
    assert "sweep: 3 of 3 members are finished" in output
    happened = [events(tmp_path / "runs" / f"digits-autoencoder-msle-none-seed{seed}") for seed in range(3)]
    assert happened == [
        ["started", "finished"],
        ["started", "stopped", "resumed", "finished"],
        ["started", "finished"],
    ]


def test_runs_are_tested_again_and_gone_on_with_in_a_sweep_too(command: Command) -> None:
    command("train.py", "-m", *BASE, "seed=0,1")
    runs = [f"runs/digits-autoencoder-msle-none-seed{seed}" for seed in range(2)]
    for option in ("test", "resume"):
        code, output, errors = command("train.py", "-m", f"{option}={runs[0]},nowhere,{runs[1]}")
        assert code == 2
        assert "sweep: 2 of 3 members are finished" in output
        assert f"failed: {option}=nowhere: 'nowhere' is not a run folder" in errors


@pytest.mark.slow
def test_a_sweep_killed_in_a_real_process_is_started_again(tmp_path: Path) -> None:
    arguments = [sys.executable, str(ROOT / "train.py"), "-m", *BASE, "trainer.max_epochs=null", "seed=0,1"]
    arguments += ["trainer.max_steps=60", "checkpoint.every_steps=10"]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    second = tmp_path / "runs" / "digits-autoencoder-msle-none-seed1"
    while not (second / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "finished before: runs/digits-autoencoder-msle-none-seed0" in done.stdout
    assert "sweep: 2 of 2 members are finished" in done.stdout
    assert events(second) == ["started", "resumed", "finished"]
