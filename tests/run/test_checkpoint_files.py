"""Checkpoint files against everything that can happen to a file."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.errors import InputError
from gans.run.checkpoint_files import (
    KINDS,
    VerifiedCheckpointIO,
    checkpoint_path,
    checkpoints_in,
    forget,
    is_whole,
    load_verified,
    newest_whole,
    recover_previous,
    step_of,
)
from tests.forked import begin
from tests.run.killed import contents, save_forever


def save(folder: Path, *steps: int) -> list[Path]:
    """Save a checkpoint of each step; what there is then, newest first."""
    for step in steps:
        VerifiedCheckpointIO().save_checkpoint(contents(step), checkpoint_path(folder, "last", step))
    return checkpoints_in(folder, "last")


def recovered_step(folder: Path) -> int:
    path = recover_previous(folder, "last")
    assert path is not None
    return load_verified(path)["training_steps"]


def test_what_is_written_is_read_and_the_last_two_are_kept(tmp_path: Path) -> None:
    newest, previous = save(tmp_path, 1, 20, 3000000, 10000000)
    assert torch.equal(load_verified(newest)["state_dict"]["weights"], contents(10000000)["state_dict"]["weights"])
    assert VerifiedCheckpointIO().load_checkpoint(previous)["training_steps"] == 3000000
    assert sorted(tmp_path.iterdir()) == sorted([newest, previous])
    VerifiedCheckpointIO().save_checkpoint(contents(5), checkpoint_path(tmp_path, "best", 5))
    VerifiedCheckpointIO().save_checkpoint(contents(9), checkpoint_path(tmp_path, "best", 9))
    assert [load_verified(path)["training_steps"] for path in checkpoints_in(tmp_path, "best")] == [9]
    assert len(checkpoints_in(tmp_path, "last")) == 2


def test_a_step_that_is_saved_again_after_a_resume_is_the_newest(tmp_path: Path) -> None:
    """A run that was rolled back passes a step again with other weights."""
    save(tmp_path, 4, 6)
    other = contents(6) | {"config": {"seed": 1}}
    VerifiedCheckpointIO().save_checkpoint(other, checkpoint_path(tmp_path, "last", 6))
    newest = newest_whole(tmp_path, "last")
    assert newest is not None
    assert load_verified(newest)["config"] == {"seed": 1}


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_every_damage_is_found_and_the_checkpoint_before_is_used(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    newest, _ = save(folder, 1, 2)
    content = bytearray(newest.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    newest.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        load_verified(newest)
    assert recovered_step(folder) == 1
    assert [path.read_bytes() for path in folder.glob("*.damaged")] == [content]  # kept for whoever wants to look
    save(folder, 3)
    assert [load_verified(path)["training_steps"] for path in checkpoints_in(folder, "last")] == [3, 1]


def test_a_step_is_forgotten_if_another_one_is_left(tmp_path: Path) -> None:
    save(tmp_path, 2, 3)
    VerifiedCheckpointIO().save_checkpoint(contents(3), checkpoint_path(tmp_path, "best", 3))
    forget(tmp_path, 3)
    assert [step_of(path) for kind in KINDS for path in checkpoints_in(tmp_path, kind)] == [2]
    forget(tmp_path, 2)
    assert newest_whole(tmp_path, "last")


def test_what_is_whole_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest, _ = save(tmp_path, 1, 2)
    assert recovered_step(tmp_path) == 2
    assert capsys.readouterr().err == ""
    newest.unlink()
    assert recovered_step(tmp_path) == 1


def test_two_damaged_ones_are_both_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [path.name for path in save(tmp_path, 1, 2)]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert recover_previous(tmp_path, "last") is None
    warnings = capsys.readouterr().err
    assert warnings.count("\n") == 2
    assert all(name in warnings for name in names)


def test_a_file_without_its_digest_is_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(contents(1), tmp_path / "alone.ckpt")
    assert load_verified(tmp_path / "alone.ckpt")["training_steps"] == 1
    assert "can't be verified" in capsys.readouterr().err
    assert newest_whole(tmp_path, "last") is None


class Payload:
    """What runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_code_in_a_file_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Payload(), tmp_path / "payload.ckpt")
    with pytest.raises(InputError, match=r"payload.ckpt"):
        load_verified(tmp_path / "payload.ckpt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_crash_during_a_save_leaves_no_file_with_a_checkpoints_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    before = save(tmp_path, 1, 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(OSError, match="No space"):
            save(tmp_path, 3)
    assert sorted(tmp_path.iterdir()) == sorted(before)


@pytest.mark.slow
def test_a_kill_during_a_save_leaves_whole_checkpoints(tmp_path: Path) -> None:
    """Whatever it interrupts, every file with a checkpoint's name is whole, and none is missing."""
    before = time.monotonic()
    save(tmp_path, 0, 1)
    one_save = (time.monotonic() - before) / 2  # longer on a busy machine
    seen: set[int] = set()
    for kill in range(100):  # later each time, until saves were reached
        if kill >= 8 and len(seen) > 2:
            break
        writer = begin(save_forever, tmp_path)
        time.sleep(0.02 + one_save * kill / 3)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found = checkpoints_in(tmp_path, "last")
        assert len(found) >= 2, kill
        assert all(is_whole(path) for path in found), kill
        seen.add(load_verified(found[0])["training_steps"])
    assert len(seen) > 2
