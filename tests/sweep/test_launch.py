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
from gans.sweep.launch import member_of, slots_for, summarize
from gans.sweep.processes import Member
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
    options = tiny("trainer.max_steps=1", f"runs={tmp_path}")
    config = member_config(*options)
    assert member_of(config, tmp_path / "log").exit_code is None
    run = commands.start(run_config(*options), config.hydra.runtime.choices)
    assert member_of(config, tmp_path / "log").exit_code == 0
    assert member_of(member_config(*options, "seed=1"), tmp_path / "other").exit_code is None
    run.history.add("stopped")
    assert member_of(config, tmp_path / "log").exit_code is None


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
    slots = slots_for(members, accelerator, n_jobs, per_gpu)
    assert len(slots) == expected
    assert {slot["OMP_NUM_THREADS"] for slot in slots} == {str(max(1, 4 // expected))}
    used = [slot.get("CUDA_VISIBLE_DEVICES") for slot in slots]
    if gpus and accelerator != "cpu":
        assert used == [str(number % gpus) for number in range(expected)]
    else:
        assert used == [None] * expected


@pytest.mark.parametrize(("n_jobs", "per_gpu"), [(0, 1), (-1, 0)])
def test_no_slots_are_refused(n_jobs: int, per_gpu: int) -> None:
    with pytest.raises(InputError, match=r"hydra\.launcher"):
        slots_for(3, "cpu", n_jobs, per_gpu)


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
        summarize(members, tmp_path, received)
    else:
        with pytest.raises(SystemExit) as end:
            summarize(members, tmp_path, received)
        assert end.value.code == expected
    captured = capsys.readouterr()
    assert f"{codes.count(0)} of {len(codes)}" in captured.out
    for number, code in enumerate(codes):
        kept = json.loads((tmp_path / f"{number:04d}.json").read_text())
        assert (kept["overrides"], kept["exit_code"]) == ([f"seed={number}"], code)
        assert (f"failed: seed={number}: " in captured.err) is (code in (2, 3, 137))
    if 2 in codes:
        assert "a reason" in captured.err
