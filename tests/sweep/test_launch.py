"""A sweep's members: which are missing, how many run at once, and what came of them."""

import json
import signal
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from gans.errors import InputError
from gans.run import commands
from gans.run.folder import RunFolder, runs_in
from gans.sweep.engines import ENGINES, make_engine, slots_for
from gans.sweep.launch import identity_of, member_of, options_of, refuse_twins, summarize
from gans.sweep.member import Member
from gans.sweep.processes import ProcessPool
from tests.conftest import CONF, run_config
from tests.run.runs import tiny


def member_config(*overrides: str) -> DictConfig:
    """A member's config, as Hydra composes it."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
        return loader.load_sweep_config(config, list(overrides))


def test_a_member_whose_run_is_finished_does_not_run_again(tmp_path: Path) -> None:
    """Where it lies, what it is called, and what it shows, does not matter."""
    options = tiny("trainer.max_steps=1", f"runs={tmp_path}")

    def exit_code(*changed: str) -> int | None:
        command = tiny(*options, *changed)
        return member_of(command, options_of(member_config(*command)), runs_in(tmp_path), tmp_path / "log").exit_code

    assert exit_code() is None
    run = commands.start(run_config(*options), "some")
    assert exit_code() == 0
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
    assert {slot["OMP_NUM_THREADS"] for slot in slots_for(2, "cpu", -1, 1)} == {threads}


def test_equal_failures_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = []
    for number, why in enumerate(["no data " * 100, "no data " * 100, "no memory"]):
        log = tmp_path / f"{number}.log"
        log.write_text(f"training\nerror: {why}\nwarning: something else\n")
        members.append(Member([f"seed={number}"], log, exit_code=2))
    with pytest.raises(SystemExit):
        summarize(members, tmp_path, ProcessPool([], []))
    lines = capsys.readouterr().err.splitlines()
    assert [line[:12] for line in lines if line.startswith("failed")] == ["failed: no d", "failed: no m"]
    assert all(len(line) <= 300 for line in lines)
    for member in members:
        assert sum(member.overrides[0] in line and str(member.log) in line for line in lines) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("seed=4", "seed=4"), ("stabilize=none", "stabilize=[]"), ("log_every=1", "log_every=5"), ("test=a", "test=a")],
)
def test_a_sweep_does_not_run_the_same_run_twice(one: str, other: str) -> None:
    commands = [tiny(each) for each in (one, "seed=1", other)]
    with pytest.raises(InputError, match="twice"):
        refuse_twins(commands, [options_of(member_config(*each)) for each in commands])


def test_members_that_differ_are_not_twins() -> None:
    commands = [tiny(each) for each in ("seed=0", "seed=1", "resume=a", "resume=b", "test=a", "runs=elsewhere")]
    options = [options_of(member_config(*each)) for each in commands]
    refuse_twins(commands, options)
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
    ],
)
def test_there_is_a_slot_for_each_core_or_for_each_gpu(
    monkeypatch: pytest.MonkeyPatch,
    members: int, accelerator: str, gpus: int, n_jobs: int, per_gpu: int, expected: int,
) -> None:  # fmt: skip
    monkeypatch.setattr("joblib.cpu_count", lambda *_: 4)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slots = slots_for(members, accelerator, n_jobs, per_gpu)
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
        *[("slurm", option) for option in ("cpus=0", "gpus=-1", "wait=perhaps")],
    ],
)
def test_bad_options_of_an_engine_are_refused(engine: str, option: str) -> None:
    config = member_config(f"hydra/launcher={engine}", f"hydra.launcher.{option}")
    with pytest.raises(InputError, match=rf"hydra\.launcher\.{option}"):
        make_engine(config.hydra, [], 3)


def test_launchers_of_others_are_refused() -> None:
    with pytest.raises(InputError, match="hydra/launcher=basic"):
        make_engine(member_config("hydra/launcher=basic").hydra, [], 3)


@pytest.mark.parametrize(
    ("codes", "received", "expected"),
    [
        ([0, 0], [], None),
        ([0, 3, 2], [], 3),
        ([0, 137], [], 137),
        ([0, 143, None], [signal.SIGTERM], 143),
        ([130, 2, None], [signal.SIGINT], 130),
        ([0, 143], [], 143),  # a member alone was sent SIGTERM
    ],
)
def test_the_exit_code_tells_what_came_of_the_members(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    codes: list[int | None],
    received: list[int],
    expected: int | None,
) -> None:
    members = [Member([f"seed={number}"], tmp_path / f"{number:04d}.log") for number in range(len(codes))]
    for member, code in zip(members, codes, strict=True):
        member.exit_code = code
        member.log.write_text("something\nerror: a reason\n")
    if expected is None:
        summarize(members, tmp_path, ProcessPool([], [], received))
    else:
        with pytest.raises(SystemExit) as end:
            summarize(members, tmp_path, ProcessPool([], [], received))
        assert end.value.code == expected
    captured = capsys.readouterr()
    assert f"{codes.count(0)} of {len(codes)}" in captured.out
    for number, code in enumerate(codes):
        kept = json.loads((tmp_path / f"{number:04d}.json").read_text())
        assert (kept["overrides"], kept["exit_code"]) == ([f"seed={number}"], code)
        assert (f"  seed={number} (see " in captured.err) is (code in (2, 3, 137))
    if 2 in codes:
        assert "a reason" in captured.err
