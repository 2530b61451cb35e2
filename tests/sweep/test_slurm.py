"""Members as jobs of a real SLURM of one node: preempted, failed, left alone and collected."""

import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.sweep.member import Member
from gans.sweep.slurm import Slurm, ask, job_of
from tests.configs import ROOT
from tests.forked import Command, run
from tests.run.runs import assert_same_runs, only_run, tiny
from tests.sweep.one_node import one_node, output, wait_until, why_not

LONG = tiny("trainer.max_epochs=null", "trainer.max_steps=200", "checkpoint.every_steps=20", "log_every=10")

OPTIONS = {"n_jobs": -1, "cpus": 1, "wait": True}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory() as folder, one_node(Path(folder)):
        yield


@pytest.fixture
def fast_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM's queue is looked at more often than where others use it too."""
    monkeypatch.setattr("gans.sweep.slurm.ASK_SECONDS", 0.5)
    monkeypatch.setattr("gans.sweep.slurm.PATIENCE_SECONDS", 3.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder, *LONG)
    return only_run(folder / "runs")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Of commands whose bits are compared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "train.py", *arguments)


def events(run: RunFolder) -> list[str]:
    return [event["event"] for event in run.history.events]


def preempt(job: str, runs: Path) -> RunFolder:
    """Ask a job to make room while it trains, and let SLURM start it again at once."""
    wait_until(lambda: any(RunFolder(path.parent).last_step > 0 for path in runs.glob("*/config.yaml")))
    run = only_run(runs)
    make_room(job)
    assert events(run) == ["started", "stopped"]
    return run


def make_room(job: str) -> None:
    scancel = subprocess.Popen(["scancel", "--signal=USR1", job], stderr=subprocess.DEVNULL)
    wait_until(lambda: state(job) == "PENDING")
    scancel.kill()  # it sends again, for minutes, what it could not send to a job that is being requeued
    scancel.wait()
    time.sleep(5)  # for the controller to give up, too: its signal would end the job that starts again
    wait_until(lambda: not ask_again("scontrol", "update", f"jobid={job}", "starttime=now") or state(job) == "RUNNING")


def ask_again(*command: str) -> int:
    return subprocess.run(command, capture_output=True).returncode


def state(job: str) -> str:
    """A job's state; "" once it has ended."""
    lines = output("squeue", "--me", "--noheader", "--array", "--format=%i %T").splitlines()
    return dict(line.split() for line in lines).get(job, "")


def assert_undisturbed(run: RunFolder, undisturbed: RunFolder) -> None:
    assert events(run) == ["started", "stopped", "resumed", "finished"]
    assert_same_runs(RunFolder(run.path), undisturbed)


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
def test_an_array_goes_on_without_its_leader_and_is_collected(tmp_path: Path, undisturbed: RunFolder) -> None:
    sweep = ["-m", *tiny(*LONG, "data.batch_size=8,5000,12"), "hydra/launcher=slurm", "hydra.launcher.n_jobs=1"]
    done = train(tmp_path, *sweep, "hydra.launcher.wait=false")
    assert done.returncode == 0, done.stderr
    (array,) = set(re.findall(r"scancel (\d+)", done.stdout))
    held = f"{array}_2"  # else it may be done before the leader looks
    ask("scontrol", "hold", held)
    preempted = preempt(f"{array}_0", tmp_path / "runs")

    leader = Command(tmp_path, "train.py", *sweep)
    wait_until(lambda: "1 of 3 members are done" in leader.output or leader.returncode is not None)
    leader.send_signal(signal.SIGINT)
    _, errors = leader.communicate()
    assert leader.returncode == 130, errors
    assert f"scancel {array}" in errors
    ask("scontrol", "release", held)

    done = train(tmp_path, *sweep)
    assert done.returncode == 2, done.stderr
    assert "2 of 3 members are finished" in done.stdout
    assert re.search(r"^failed: .*batch_size=5000.*\n.*data.batch_size=5000 .*0001.log", done.stderr, re.MULTILINE)
    assert_undisturbed(preempted, undisturbed)
    runs = [RunFolder(path.parent) for path in tmp_path.glob("runs/*/config.yaml")]
    assert {job for each in runs for job in jobs_of(each)} == {f"{array}_{number}" for number in (0, 2)}
    assert [events(each) for each in runs].count(["started", "finished"]) == 1


def jobs_of(run: RunFolder) -> set[str]:
    return {event["slurm_job"] for event in run.history.events if "slurm_job" in event}


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
def test_a_single_job_is_requeued_and_goes_on_by_itself(tmp_path: Path, undisturbed: RunFolder) -> None:
    """As docs/resuming.md says."""
    command = shlex.join([sys.executable, str(ROOT / "train.py"), *LONG])
    script = f"#!/bin/bash\n#SBATCH --requeue --signal=USR1@90 --output=log\nsrun {command}\n"
    done = subprocess.run(["sbatch", "--parsable"], input=script, cwd=tmp_path, capture_output=True, text=True)
    job = done.stdout.strip()
    preempted = preempt(job, tmp_path / "runs")
    wait_until(lambda: not state(job))
    assert_undisturbed(preempted, undisturbed)


def members_of(folder: Path, *scripts: str) -> list[Member]:
    script = "import os, pathlib, signal, sys, time; exec(sys.argv[1])"
    return [
        Member("", [sys.executable, "-c", script, text], folder / f"{number}.log")
        for number, text in enumerate(scripts)
    ]


def kill_all_of(job: str) -> None:
    """Kill its script too, which then writes no exit code."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            own = process.environ()
            is_of_job = f"{own.get('SLURM_ARRAY_JOB_ID')}_{own.get('SLURM_ARRAY_TASK_ID')}" == job
            if is_of_job and process.name() != "slurmstepd":
                process.kill()


@pytest.mark.engines
@pytest.mark.usefixtures("cluster", "fast_looks")
def test_members_are_preempted_and_killed_at_any_time(tmp_path: Path) -> None:
    """Before a member listens to signals, the script requeues it; one that was killed leaves no exit code."""
    once = "seen = pathlib.Path('seen'); again = seen.exists(); seen.touch(); time.sleep(0 if again else 600)"
    members = members_of(tmp_path, once, "print(1, flush=True); time.sleep(600)", "exit(3)", "pass")
    done: list[str] = []

    def show() -> None:
        job, other = (job_of(member) for member in members[:2])
        if job and job not in done and (tmp_path / "seen").exists():
            done.append(job)
            make_room(job)
        if other and other not in done and members[1].lines():
            done.append(other)
            kill_all_of(other)

    Slurm.model_validate(OPTIONS | {"chdir": str(tmp_path)}).run(members, show)
    assert [member.exit_code for member in members] == [0, 137, 3, 0]


@pytest.mark.engines
@pytest.mark.usefixtures("cluster", "fast_looks")
def test_members_are_left_found_cancelled_and_submitted_again(tmp_path: Path) -> None:
    def submit(**options: Any) -> tuple[list[int | None], str]:
        members = members_of(tmp_path, "pass", "exit(3)")
        _, left = Slurm.model_validate(OPTIONS | options).run(members, lambda: None)
        return [member.exit_code for member in members], left

    later = {"begin": "now+1hour", "wait": False, "overcommit": True, "hold": False}
    codes, left = submit(**later)
    assert (codes, submit(**later)) == ([None, None], (codes, left))
    (array,) = re.findall(r"scancel (\d+)", left)
    ask("scancel", array)
    wait_until(lambda: not state(f"{array}_0") and not state(f"{array}_1"))
    assert submit(wait=False)[0] == [None, None]
    wait_until(lambda: not ask("squeue", "--me", "--noheader"))
    codes, left = submit(**later)  # a member's success is in its run folder, which this one has not
    assert codes == [None, 3]
    assert left


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("option", ["partition=nowhere", "time=soon", "mem=much", "nodelist=nowhere"])
def test_what_slurm_refuses_is_told_in_a_line(tmp_path: Path, option: str) -> None:
    with pytest.raises(InputError, match=r"^sbatch failed: [^\n]+$"):
        Slurm.model_validate(OPTIONS | dict([option.split("=")])).run(members_of(tmp_path, "pass"), lambda: None)
    assert not list(tmp_path.iterdir())


def test_a_machine_without_slurm_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="hydra/launcher=processes"):
        Slurm.model_validate(OPTIONS).run(members_of(tmp_path, "pass"), lambda: None)
