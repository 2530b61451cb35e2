"""Files are written whole or not at all, and what can't be written is named."""

import errno
import io
import os
import re
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis.strategies import lists, text

from gans.files import cache_folder, file_name, only_one, write_text


@given(lists(text("ab_/\\%.5f2", min_size=1, max_size=4), unique=True))
def test_each_text_has_a_file_of_its_own(texts: list[str]) -> None:
    folder = Path("folder")
    paths = {folder / file_name(each) for each in texts}
    assert len(paths) == len(texts)
    assert all(path.parent == folder and path.name not in ("", "..") for path in paths)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_file_that_can_not_be_written_is_named_and_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(_: int) -> None:
        raise OSError(number, "an error of the disk, which names no file")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=re.escape(f"'{path}'")):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_rights_of_any_other_new_one(tmp_path: Path) -> None:
    write_text(tmp_path / "own", "text")
    (tmp_path / "other").write_text("text")
    assert (tmp_path / "own").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match=re.escape(f"'{path}'")):
        write_text(path, "text")
    assert list(tmp_path.iterdir()) == [path]


def test_only_who_waits_for_another_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, taken, told = tmp_path / "lock", threading.Event(), threading.Event()

    class Told(io.StringIO):
        def write(self, text: str) -> int:
            told.set()
            return super().write(text)

    def work() -> None:
        with only_one(path, "works"):
            taken.set()
            told.wait(60)  # as long as it takes the other one to say so

    errors = Told()
    monkeypatch.setattr(sys, "stderr", errors)
    other = threading.Thread(target=work)
    other.start()
    taken.wait()
    assert errors.getvalue() == ""
    with only_one(path, "works"):
        assert errors.getvalue() == "waiting for another process, which works\n"
    other.join()
    with FileLock(path, timeout=0):
        pass


def test_the_cache_may_be_named_as_in_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No shell has replaced ~ in files of variables, such as Docker's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANS_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"
