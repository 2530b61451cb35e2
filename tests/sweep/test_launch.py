"""A sweep's members: which are missing, how many run at once, and what came of them."""

import shutil
import signal
import sys
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig
from typing_extensions import override

from gans.errors import InputError
from gans.run import commands
from gans.run.folder import RunFolder, runs_in
from gans.run.lock import lock
from gans.sweep.launch import (
    ENGINES,
    exit_code_of,
    flags_of,
    identity_of,
    make_engine,
    options_of,
    refuse_if_all_are_wrong,
    run_members,
    run_sweep,
    skip_if_finished,
    tell_failures,
)
from gans.sweep.member import Member
from gans.sweep.processes import Processes, slots_for
from gans.sweep.view import View
from tests.configs import CONF, mostly_slow, run_config
from tests.run.runs import tiny


def member_config(*overrides: str, name: str = "config") -> DictConfig:
    """A member's config, as Hydra composes it."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration(name, list(overrides), RunMode.MULTIRUN)
        return loader.load_sweep_config(config, list(overrides))


def test_a_member_whose_run_is_finished_does_not_run_again(tmp_path: Path) -> None:
    """Where it lies, what it is called, and what it shows, does not matter."""
    options = tiny("trainer.max_steps=1", f"runs={tmp_path}")

    def exit_code(*changed: str) -> int | None:
        member = Member("", [], tmp_path / "log")
        skip_if_finished(member, options_of(member_config(*tiny(*options, *changed))), runs_in(tmp_path))
        return member.exit_code

    assert exit_code() is None
    run = commands.start(run_config(*options), "some")
    events = (run.path / "history.json").read_text()
    (run.path / "history.json").write_text("{")
    assert exit_code() is None  # it says so itself, and others run
    (run.path / "history.json").write_text(events)
    (tmp_path / "log").write_text("what training has said\n")
    assert exit_code() == 0
    assert (tmp_path / "log").read_text().startswith("what training has said\nfinished before")
    assert exit_code("log_every=1", "samples.frames=2", "runs=elsewhere") == 0
    assert "log_every=2" in (tmp_path / "log").read_text()
    for change in ("seed=1", f"resume={run.path}", f"test={run.path}"):
        assert exit_code(change) is None
    run.path.rename(tmp_path / "another name")
    assert exit_code() == 0
    RunFolder(tmp_path / "another name").history.add("stopped")
    assert exit_code() is None


@pytest.mark.parametrize(("asked", "threads"), [("1", "1"), ("9", "2"), ("", "2"), ("0", "2"), ("a", "2")])
def test_fewer_threads_that_were_asked_for_stay_fewer(
    monkeypatch: pytest.MonkeyPatch, asked: str, threads: str
) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda *_: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert {slot["OMP_NUM_THREADS"] for slot in slots_for(2, {"cpu"}, -1, 1)} == {threads}


def test_a_member_whose_log_found_no_space_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own message is lost with the log."""
    (tmp_path / "0.log").touch()
    member = Member("seed=0", ["false"], tmp_path / "0.log", exit_code=1)
    assert member.failure == "exit code 1"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))
    assert "space" in member.failure
    assert str(member.log) in member.failure
    member.log.write_text("error: a message that was written\n")
    assert member.failure == "a message that was written"


def test_equal_failures_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = []
    for number, why in enumerate(["no data " * 100, "no data " * 100, "no memory"]):
        log = tmp_path / f"{number}.log"
        log.write_text(f"training\nerror: {why}\nwarning: something else\n")
        members.append(Member(f"seed={number}", [], log, exit_code=2))
    tell_failures(members)
    lines = capsys.readouterr().err.splitlines()
    assert [line[:12] for line in lines if line.startswith("failed")] == ["failed: no d", "failed: no m"]
    assert all(len(line) <= 300 for line in lines)
    for member in members:
        assert sum(member.name in line and str(member.log) in line for line in lines) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    mostly_slow(
        1,
        [
            ("seed=4", "seed=4"),
            ("stabilize=none", "stabilize=[]"),
            ("log_every=1", "log_every=5"),
            ("test=a", "test=a"),
        ],
    ),
)
def test_a_sweep_does_not_run_the_same_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="twice"):
        run_sweep([member_config(*tiny(each)) for each in (one, "seed=1", other)])
    assert not Path("runs").exists()


def test_members_read_the_files_that_the_sweep_reads() -> None:
    assert flags_of(member_config().hydra) == []
    assert flags_of(member_config(name="study").hydra) == ["--config-name", "study"]


@pytest.mark.slow
def test_a_sweep_of_which_no_member_is_right_writes_nothing(tmp_path: Path) -> None:
    """Where one is right, the others fail by themselves."""
    wrong, right = (tiny(each, f"runs={tmp_path}") for each in ("data.limit=0", "seed=1"))
    with pytest.raises(InputError, match="limit"):
        run_sweep([member_config(*wrong), member_config(*wrong, "seed=1")])
    assert not [*tmp_path.iterdir()]
    refuse_if_all_are_wrong([options_of(member_config(*each)) for each in (wrong, right)])


def test_one_member_at_a_time_draws_a_run() -> None:
    drawing = [member_config("draw=runs/a", f"figure={each}") for each in ("curves", "modes")]
    with pytest.raises(InputError, match="name all figures in one"):
        run_sweep(drawing)
    assert identity_of(options_of(drawing[0])) != identity_of(options_of(drawing[1]))


def test_a_sweep_without_members_is_refused() -> None:
    with pytest.raises(InputError, match="no member"):
        run_sweep([])


@pytest.mark.slow
def test_members_that_differ_are_not_twins() -> None:
    commands = [tiny(each) for each in ("seed=0", "seed=1", "resume=a", "resume=b", "test=a", "runs=elsewhere")]
    options = [options_of(member_config(*each)) for each in commands]
    assert len({identity_of(each) for each in options}) == len(commands)


@pytest.mark.parametrize(
    ("members", "accelerator", "gpus", "n_jobs", "per_gpu", "expected"),
    [
        (10, "cpu", 0, -1, 1, 4),
        (3, "cpu", 0, -1, 1, 3),
        (1, "auto", 0, -1, 1, 1),
        (10, "cpu", 0, 7, 1, 7),
        (10, "auto", 2, -1, 1, 2),
        (10, "gpu", 2, -1, 3, 6),
        (10, "cpu", 2, -1, 1, 4),
        (10, "cuda", 1, 2, 1, 2),
        (10, "cpu auto", 2, -1, 1, 2),
    ],
)
def test_there_is_a_slot_for_each_core_or_for_each_gpu(
    monkeypatch: pytest.MonkeyPatch,
    members: int, accelerator: str, gpus: int, n_jobs: int, per_gpu: int, expected: int,
) -> None:  # fmt: skip
    monkeypatch.setattr("joblib.cpu_count", lambda *_: 4)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slots = slots_for(members, accelerator.split(), n_jobs, per_gpu)
    assert len(slots) == expected
    assert {slot["OMP_NUM_THREADS"] for slot in slots} == {str(max(1, 4 // expected))}
    used = [slot.get("CUDA_VISIBLE_DEVICES") for slot in slots]
    if gpus and accelerator != "cpu":
        assert used == [str(number % gpus) for number in range(expected)]
    else:
        assert used == [None] * expected


@pytest.mark.parametrize(
    ("engine", "option"),
    [
        *[(engine, option) for engine in ENGINES for option in ("n_jobs=0", "n_jobs=-2", "n_jobs=a")],
        ("processes", "per_gpu=0"),
        *[("slurm", option) for option in ("cpus=0", "wait=perhaps")],
        *[("slurm", f"{option}=1") for option in ("array", "cpus_per_task", "ntasks", "no_requeue", "wrap")],
        *[("ray", option) for option in ("cpus=0", "gpus=-1", "address=5")],
    ],
)
@pytest.mark.slow
def test_bad_options_of_an_engine_are_refused(engine: str, option: str) -> None:
    config = member_config(f"hydra/launcher={engine}", f"++hydra.launcher.{option}")
    with pytest.raises(InputError, match=rf"hydra\.launcher\.{option}"):
        make_engine(config.hydra, 3, {"auto"})


def test_members_at_once_are_said_once() -> None:
    config = member_config("hydra.launcher.n_jobs=2", "hydra.launcher.per_gpu=2")
    with pytest.raises(InputError, match="per_gpu=2: leave"):
        make_engine(config.hydra, 3, {"auto"})


def test_launchers_of_others_are_refused() -> None:
    with pytest.raises(InputError, match="hydra/launcher=basic"):
        make_engine(member_config("hydra/launcher=basic").hydra, 3, {"auto"})


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 3, 2], 3), ([0, 137], 137), ([0, 143], 143), ([143, 2], 2), ([0, None], 0)],
)
def test_the_exit_code_tells_what_came_of_the_members(codes: list[int | None], expected: int) -> None:
    assert exit_code_of([Member("", [], Path("log"), exit_code=code) for code in codes]) == expected


def engine_and_members(folder: Path, *scripts: str) -> tuple[Processes, list[Member]]:
    engine = Processes(n_jobs=2, per_gpu=1)
    engine.prepare(len(scripts), {"cpu"})
    commands = [[sys.executable, "-c", script] for script in scripts]
    return engine, [Member(f"seed={i}", command, folder / f"{i}.log") for i, command in enumerate(commands)]


def test_members_are_summed_up_and_a_failure_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine, members = engine_and_members(tmp_path / "new", "print(1)", "print('error: a reason'); print(2); exit(2)")
    assert run_members(members, engine, View(members)) == ""
    captured = capsys.readouterr()
    assert "1 of 2" in captured.out
    assert "failed: a reason" in captured.err.splitlines()
    assert "| 2" in captured.err.splitlines()
    assert "seed=1" in captured.err
    assert "seed=0" not in captured.err


def test_a_signal_ends_the_command(tmp_path: Path) -> None:
    engine, members = engine_and_members(tmp_path, "import time; time.sleep(60)")

    class Interrupted(View):
        def refresh(self) -> None:
            if members[0].exit_code is None:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as end:
        run_members(members, engine, Interrupted(members))
    assert end.value.code == 130


def test_an_engine_that_does_not_start_leaves_nothing(tmp_path: Path) -> None:
    class Absent(Processes):
        @override
        def open(self) -> None:
            raise InputError("it is not here")

    _, members = engine_and_members(tmp_path / "sweeps" / "one", "pass")
    with pytest.raises(InputError, match="not here"):
        run_members(members, Absent(n_jobs=2, per_gpu=1), View(members))
    assert not list(tmp_path.iterdir())


def test_two_processes_never_run_the_same_sweep(tmp_path: Path) -> None:
    engine, members = engine_and_members(tmp_path, "pass")
    with lock(tmp_path), pytest.raises(InputError, match="locked"):
        run_members(members, engine, View(members))
    assert not members[0].log.exists()
