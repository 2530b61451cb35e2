"""Long work gives signs of life: whole lines in a log, a bar on a terminal, and nothing for work that ends soon."""

import ast
import sys
from time import sleep

import pytest

from gans.data import progress
from gans.data.progress import ProgressBar
from tests.test_layout import MODULES


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.1)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.02)


def test_a_single_slow_call_writes_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("slow work"):
        sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("slow work") and line.isprintable() for line in lines)


def test_the_innermost_work_says_how_much_is_done_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("outer"), ProgressBar("inner", 10, "images") as bar:
        bar.update(5)
        bar.note(loss="0.5")
        sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all("inner" in line and "50%" in line and "5/10" in line and "left" in line for line in lines)
    assert "loss=0.5" in lines[-1]


def test_many_short_parts_of_long_work_are_not_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("outer"):
        for _ in range(8):
            with ProgressBar("part"):
                sleep(0.06)
    assert capsys.readouterr().err


def test_work_that_ends_soon_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("quick", 3) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_the_last_state_of_kept_work_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("kept", 3, keep=True) as bar:
        bar.update(3)
    (line,) = capsys.readouterr().err.splitlines()
    assert "100%" in line
    assert "3/3" in line


def test_an_error_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), ProgressBar("broken"):
        raise ZeroDivisionError
    sleep(0.3)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_a_bar_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with ProgressBar("slow work", 10, "images") as bar:
        bar.update(5)
        sleep(1.5)
    shown = capsys.readouterr().err
    assert "5/10" in shown
    assert "\n" not in shown


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"data.progress"}))
def test_all_progress_is_shown_in_one_way(module: str) -> None:
    nodes = list(ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert not {"tqdm", "rich.progress"} & imported
