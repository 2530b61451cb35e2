"""Checkpoint files against everything that can happen to a file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.run.checkpoint_files import CheckedCheckpoints, DamagedCheckpoint, is_whole, load_checked, mend, previous_path
from gans.errors import InputError
from tests.conftest import ROOT
from tests.killed import begin, contents, save_forever


def saved(folder: Path, *steps: int) -> Path:
    path = folder / "last.ckpt"
    for step in steps:
        CheckedCheckpoints().save_checkpoint(contents(step), path)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2, 3)
    loaded = CheckedCheckpoints().load_checkpoint(path)
    assert loaded["training_steps"] == 3
    assert torch.equal(loaded["weights"], contents(3)["weights"])
    assert load_checked(previous_path(path))["training_steps"] == 2
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "last.ckpt", "last.ckpt.sha256", "last.previous.ckpt", "last.previous.ckpt.sha256",
    ]  # fmt: skip


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_flipped_byte_and_every_truncation_is_found_and_answered_with_the_predecessor(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = saved(tmp_path_factory.mktemp("flip"), 1, 2)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match="is damaged"):
        load_checked(path)
    mend(path)
    assert load_checked(path)["training_steps"] == 1
    assert path.with_name("last.ckpt.damaged").read_bytes() == content


def test_a_whole_checkpoint_is_left_alone_and_a_lost_one_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path, 1, 2)
    mend(path)
    assert (load_checked(path)["training_steps"], capsys.readouterr().err) == (2, "")
    path.unlink()
    mend(path)
    assert load_checked(path)["training_steps"] == 1
    assert "is lost: going on from its predecessor" in capsys.readouterr().err


def test_a_damaged_checkpoint_never_becomes_the_predecessor(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2)
    path.write_bytes(b"damaged")
    saved(tmp_path, 3)
    assert load_checked(path)["training_steps"] == 3
    assert load_checked(previous_path(path))["training_steps"] == 1


def test_without_a_whole_predecessor_the_damage_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    mend(path)
    with pytest.raises(InputError, match="is damaged"):
        load_checked(path)


def test_an_unverified_checkpoint_is_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(contents(1), tmp_path / "alone.ckpt")
    assert load_checked(tmp_path / "alone.ckpt")["training_steps"] == 1
    assert "can't be verified" in capsys.readouterr().err


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, 1, 2)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            saved(tmp_path, 3)
    assert load_checked(path)["training_steps"] == 2
    assert not list(tmp_path.glob(".*"))


def test_a_kill_during_the_save_always_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    before = time.monotonic()
    path = saved(tmp_path, 0, 1)
    a_save = (time.monotonic() - before) / 2  # longer on a busy machine
    seen: set[int] = set()
    for kill in range(400):  # later each time, until a save was reached
        if kill >= 40 and len(seen) > 1:
            break
        writer = begin(save_forever, path)
        time.sleep(0.005 + a_save * kill / 10)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert is_whole(path), kill
        assert is_whole(previous_path(path)), kill
        seen.add(load_checked(path)["training_steps"])
    assert len(seen) > 1


@pytest.mark.slow
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_real_process_saves_on_a_signal_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "data=digits", "model=autoencoder", "samples.count=10",
               "evaluated_images=100", "samples.frames=1"]  # fmt: skip
    process = subprocess.Popen(
        [*command, "trainer.max_steps=100000"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    folder = tmp_path / "runs" / "digits-autoencoder-msle-none-seed0"
    while not (folder / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == exit_code
    assert errors.splitlines()[-1].endswith(f"Go on with: python train.py resume={folder.relative_to(tmp_path)}")
    assert is_whole(folder / "checkpoints" / "last.ckpt")
