"""Members as jobs of a real SLURM of one node: preempted, failed, left alone and collected."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.sweep.member import Member, read_result
from gans.sweep.slurm import SlurmArray, ask, sbatch_arguments, states
from tests.conftest import ROOT
from tests.run.runs import assert_same_runs, only_run, tiny
from tests.sweep.one_node import one_node, why_not

LONG = tiny("trainer.max_epochs=null", "trainer.max_steps=200", "checkpoint.every_steps=20", "log_every=10")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory() as folder, one_node(Path(folder)):
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder, *LONG)
    return only_run(folder / "runs")


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, env=one_thread(), capture_output=True, text=True)


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "train.py"), *arguments]


def one_thread() -> dict[str, str]:
    """The environment of commands whose bits are compared."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


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
    subprocess.run(["scancel", "--signal=USR1", job])  # it can fail after sending, because the job is being requeued
    wait_until(lambda: states().get(job) == "PENDING")
    ask("scontrol", "update", f"jobid={job}", "starttime=now")


def assert_undisturbed(run: RunFolder, undisturbed: RunFolder) -> None:
    assert events(run) == ["started", "stopped", "resumed", "finished"]
    assert_same_runs(RunFolder(run.path), undisturbed)


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
def test_an_array_goes_on_without_its_leader_and_is_collected(tmp_path: Path, undisturbed: RunFolder) -> None:
    sweep = ["-m", *tiny(*LONG, "data.batch_size=8,5000,12,6"), "hydra/launcher=slurm", "hydra.launcher.n_jobs=1"]
    done = train(tmp_path, *sweep, "hydra.launcher.wait=false")
    assert done.returncode == 0, done.stderr
    (array,) = set(re.findall(r"scancel (\d+)", done.stdout))
    held = f"{array}_2,{array}_3"  # else they may be done before the leader looks
    ask("scontrol", "hold", held)
    run = preempt(f"{array}_0", tmp_path / "runs")

    leader = subprocess.Popen(command(*sweep), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert leader.stdout
    assert "1 of 4" in leader.stdout.readline()
    leader.send_signal(signal.SIGINT)
    _, errors = leader.communicate()
    assert leader.returncode == 130, errors
    assert f"scancel {array}" in errors
    ask("scontrol", "release", held)

    done = train(tmp_path, *sweep)
    assert done.returncode == 2, done.stderr
    assert "3 of 4 members are finished" in done.stdout
    assert re.search(r"^failed: .*batch_size=5000.*\n.*data.batch_size=5000 .*0001.log", done.stderr, re.MULTILINE)
    assert_undisturbed(run, undisturbed)
    results = [read_result(path) for path in tmp_path.glob("runs/sweeps/*/members/*.json")]
    jobs = {result["job"] for result in results if "data.batch_size=5000" not in result["overrides"]}
    assert jobs == {None, *(f"{array}_{number}" for number in (0, 2, 3))}  # a failure that was told is tried again
    assert len(list(tmp_path.glob("runs/*/config.yaml"))) == 3


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
def test_a_single_job_is_requeued_and_goes_on_by_itself(tmp_path: Path, undisturbed: RunFolder) -> None:
    """As docs/resuming.md says."""
    script = f"#!/bin/bash\n#SBATCH --requeue --signal=USR1@90 --output=log\nsrun {shlex.join(command(*LONG))}\n"
    done = subprocess.run(
        ["sbatch", "--parsable"], input=script, cwd=tmp_path, env=one_thread(), capture_output=True, text=True
    )
    job = done.stdout.strip()
    run = preempt(job, tmp_path / "runs")
    wait_until(lambda: job not in states())
    assert_undisturbed(run, undisturbed)


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
def test_members_are_preempted_and_killed_at_any_time(tmp_path: Path) -> None:
    """Before a member listens to signals, the script requeues it; one that was killed leaves no exit code."""
    script = "import os, pathlib, signal, sys, time; exec(sys.argv[1])"
    once = "seen = pathlib.Path('seen'); again = seen.exists(); seen.touch(); time.sleep(0 if again else 60)"
    scripts = [once, "os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "exit(3)", "pass"]
    folder = tmp_path / "sweep" / "members"
    members = [Member([text], folder / f"{number}.log", str(number)) for number, text in enumerate(scripts)]
    folder.mkdir(parents=True)
    arguments = [*sbatch_arguments(None, None, None, 0, 1, {}), f"--chdir={tmp_path}"]
    sent: list[str] = []

    def show() -> None:
        job = members[0].job
        if not sent and job and (tmp_path / "seen").exists():
            sent.append(job)
            make_room(job)

    SlurmArray([sys.executable, "-c", script], arguments, 1, -1, wait=True).run(members, show)
    assert [member.exit_code for member in members] == [0, 137, 3, 0]


@pytest.mark.engines
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("option", ["partition=nowhere", "time=soon", "memory=much", "+sbatch.nodelist=nowhere"])
def test_what_slurm_refuses_is_told_in_a_line(tmp_path: Path, option: str) -> None:
    plus, name = ("+", option[1:]) if option.startswith("+") else ("", option)
    done = train(tmp_path, "-m", *LONG, "hydra/launcher=slurm", f"{plus}hydra.launcher.{name}", "seed=0,1")
    assert done.returncode == 2
    assert re.fullmatch(r"error: sbatch failed: [^\n]+\n", done.stderr)


def test_a_machine_without_slurm_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    members = [Member([], tmp_path / "sweep" / "members" / "0.log")]
    with pytest.raises(InputError, match="hydra/launcher=processes"):
        SlurmArray([], [], 1, -1, wait=True).run(members, lambda: None)
