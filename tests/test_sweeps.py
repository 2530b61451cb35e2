"""A sweep: its members run side by side or in turn, fail, are stopped, and the sweep is started again."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import joblib
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import open_dict

from gans.errors import InputError
from gans.gan import GAN
from gans.run.history import History
from gans.sweep.jobs import count_members, jobs_at_once
from gans.run.folder import Run
from gans.sweep.summary import run_member
from tests.conftest import CONF, ROOT, names
from tests.test_commands import ABSENT, SMALL, Command, command

__all__ = ["command"]

BASE = ["model=autoencoder", "metric=none", *(option for option in SMALL if not option.startswith("metric"))]
HERE = "hydra.launcher.n_jobs=1"
SIDE_BY_SIDE = "hydra.launcher.n_jobs=2"


def members(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("runs/sweeps/*/members/*.json"))]


def events(folder: Path) -> list[str]:
    return [event["event"] for event in History(folder).events]


def test_a_sweep_goes_on_after_a_member_that_fails_and_then_runs_only_what_is_missing(
    command: Command, tmp_path: Path
) -> None:
    sweep = ["-m", *BASE, HERE, "data.batch_size=20,5000,25", "seed=0,1"]
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


def test_a_member_that_is_finished_needs_no_device(command: Command, tmp_path: Path) -> None:
    command("train.py", "-m", *BASE, HERE, "seed=0", "trainer.accelerator=cpu")
    (path,) = (tmp_path / "runs").glob("digits-*/config.yaml")
    path.write_text(path.read_text().replace("accelerator: cpu", f"accelerator: {ABSENT}"))
    code, output, _ = command("train.py", "-m", *BASE, HERE, "seed=0,1", f"trainer.accelerator={ABSENT}")
    assert code == 2
    assert "finished before: " in output
    assert "sweep: 1 of 2 members are finished" in output


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
        code, _, errors = command("train.py", "-m", *BASE, HERE, "seed=0,1,2")
    assert code == 143
    assert "The same command goes on with the whole sweep" in errors.splitlines()[-1]
    code, output, _ = command("train.py", "-m", *BASE, HERE, "seed=0,1,2")
    assert code == 0
    assert "sweep: 3 of 3 members are finished" in output
    happened = [events(tmp_path / "runs" / f"digits-autoencoder-msle-none-seed{seed}") for seed in range(3)]
    assert happened == [
        ["started", "finished"],
        ["started", "stopped", "resumed", "finished"],
        ["started", "finished"],
    ]


def test_a_signal_that_is_taken_for_a_fault_stops_the_sweep_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gans.sweep.summary._ended", [])
    monkeypatch.setattr("gans.sweep.jobs._stopped", [])

    def task() -> Run:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception as error:
            raise InputError("the data can't be built") from error
        raise AssertionError

    assert run_member(task) == {"stopped": signal.SIGTERM}
    assert run_member(task) == {"stopped": signal.SIGTERM}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_leaves_the_process_as_it_was(command: Command, jobs: int) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers], signal.pthread_sigmask(signal.SIG_BLOCK, [])
    code, _, _ = command("train.py", "-m", *BASE, f"hydra.launcher.n_jobs={jobs}", "data.batch_size=5000", "seed=0,1")
    assert code == 2
    assert before == ([signal.getsignal(number) for number in numbers], signal.pthread_sigmask(signal.SIG_BLOCK, []))


def test_no_jobs_are_refused_in_one_line(command: Command) -> None:
    code, _, errors = command("train.py", "-m", *BASE, "hydra.launcher.n_jobs=0", "seed=0,1")
    assert code == 2
    assert re.fullmatch(r"error: hydra\.launcher\.n_jobs=0 [^\n]+\n", errors)


def test_runs_are_tested_again_and_gone_on_with_in_a_sweep_too(command: Command) -> None:
    command("train.py", "-m", *BASE, "hydra/launcher=basic", "seed=0,1")
    runs = [f"runs/digits-autoencoder-msle-none-seed{seed}" for seed in range(2)]
    for option in ("test", "resume"):
        code, output, errors = command("train.py", "-m", HERE, f"{option}={runs[0]},nowhere,{runs[1]}")
        assert code == 2
        assert "sweep: 2 of 3 members are finished" in output
        assert f"failed: {option}=nowhere: 'nowhere' is not a run folder" in errors


def test_members_run_side_by_side_fail_and_are_reported(command: Command, tmp_path: Path) -> None:
    code, output, errors = command("train.py", "-m", *BASE, SIDE_BY_SIDE, "data.batch_size=25,5000", "seed=0,1")
    assert code == 2
    assert "sweep: 3 of 4 members are done" in output
    assert "sweep: 2 of 4 members are finished" in output
    assert errors.count("is more than the") == 4
    assert [bool(member["failed"]) for member in members(tmp_path)] == [False, False, True, True]
    bars = re.findall(r"digits-autoencoder-msle-none-seed(\d): 100%", errors)
    assert sorted(set(bars)) == ["0", "1"]
    versions = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("digits-*/versions.json")]
    assert [each["threads"] for each in versions] == 2 * [max(1, joblib.cpu_count() // 2)]


@pytest.mark.parametrize(
    ("overrides", "members"),
    [
        (["seed=3"], 1),
        (["seed=0,1,2", "model=dcgan,wgan", "log_every=5"], 6),
        (["seed=range(4)", "stabilize=none,[r1,ema]"], 8),
        (["objective=glob(*)", "seed=0,1"], 2 * len(names("objective"))),
    ],
)
def test_members_are_counted_as_hydra_makes_them(overrides: list[str], members: int) -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = GlobalHydra.instance().config_loader().load_configuration("config", overrides, RunMode.MULTIRUN)
        assert count_members(config) == members
        with open_dict(config):
            config.hydra.sweeper.params = {"evaluated_images": "100,200"}
        assert count_members(config) == 2 * members


def test_there_is_a_job_for_each_core_and_one_for_a_gpu() -> None:
    cores = joblib.cpu_count()
    assert [jobs_at_once(members, "cpu") for members in (1, 2, 1000)] == [1, min(2, cores), cores]
    assert jobs_at_once(1000, "gpu") == 1


def stop_in_order(sweep: subprocess.Popen[str]) -> None:
    sweep.terminate()


def stop_the_group(sweep: subprocess.Popen[str]) -> None:
    os.killpg(sweep.pid, signal.SIGTERM)


def press_ctrl_c(sweep: subprocess.Popen[str]) -> None:
    os.killpg(sweep.pid, signal.SIGINT)


def kill_the_leader(sweep: subprocess.Popen[str]) -> None:
    sweep.kill()


def kill_a_member(sweep: subprocess.Popen[str]) -> None:
    found = subprocess.run(["pgrep", "-P", str(sweep.pid), "-f", "LokyProcess-2"], capture_output=True, text=True)
    os.kill(int(found.stdout), signal.SIGKILL)


STOPPED = "The same command goes on with the whole sweep"


@pytest.mark.slow
def test_a_sweep_is_ended_in_every_way_and_finished_by_the_same_command(tmp_path: Path) -> None:
    budget = ["trainer.max_epochs=null", "trainer.max_steps=600", "checkpoint.every_steps=10", "log_every=10"]
    command = [sys.executable, str(ROOT / "train.py"), "-m", *BASE, SIDE_BY_SIDE, "seed=0,1,2", *budget]
    runs = [tmp_path / "runs" / f"digits-autoencoder-msle-none-seed{seed}" for seed in range(3)]

    def start() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def steps(run: Path) -> int:
        return Run(run).last_step if (run / "config.yaml").is_file() else 0

    for end, code, last, event in [
        (stop_in_order, 143, f"stopped by SIGTERM. {STOPPED}", "stopped"),
        (stop_the_group, 143, f"stopped by SIGTERM. {STOPPED}", "stopped"),
        (press_ctrl_c, 130, f"stopped by SIGINT. {STOPPED}", "stopped"),
        (kill_the_leader, -9, None, "stopped"),
        (kill_a_member, 3, None, "resumed"),
    ]:
        trained = [steps(run) for run in runs[:2]]
        sweep = start()
        while not all(steps(run) > step for run, step in zip(runs, trained, strict=False)):
            assert sweep.poll() is None
            time.sleep(0.05)
        end(sweep)
        output, errors = sweep.communicate()  # which ends when the last process lets go of the pipe
        assert sweep.returncode == code, errors
        assert "Traceback" not in errors
        assert [events(run)[-1] for run in runs[:2]] == [event, event]
        assert not runs[2].exists()
        if last is not None:
            # joblib's resource tracker is a process that outlives the sweep's
            assert [line for line in errors.splitlines() if "resource_tracker" not in line][-1] == last, errors
            assert "sweep: 0 of 3 members are finished" in output, errors
    killed = re.search(r"^error: a process of the sweep was killed.*n_jobs=1.*", errors, re.MULTILINE)
    assert killed
    assert killed[0].endswith(STOPPED)

    sweep = start()
    output, errors = sweep.communicate()
    assert sweep.returncode == 0, errors
    assert output.count("going on from training step") == 2
    assert "going on from training step 0" not in output
    assert "sweep: 3 of 3 members are finished" in output
    ways = [
        "started",
        "stopped",
        "resumed",
        "stopped",
        "resumed",
        "stopped",
        "resumed",
        "stopped",
        "resumed",
        "resumed",
        "finished",
    ]
    assert [events(run) for run in runs] == [ways, ways, ["started", "finished"]]
