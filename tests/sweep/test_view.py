"""What is said of a sweep while it runs."""

from pathlib import Path

import pytest

from gans.sweep.member import Member
from gans.sweep.view import View, duration, seconds_left


def members_of(took: list[float], running: list[float], waiting: int, monkeypatch: pytest.MonkeyPatch) -> list[Member]:
    """Members that have finished after so many seconds, that run since then, and that wait."""
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    done = [Member(["done"], Path("log"), exit_code=0, started=0.0, seconds=each) for each in took]
    busy = [Member(["busy"], Path("log"), state="running", started=1000.0 - each) for each in running]
    return [*done, *busy, *(Member(["waits"], Path("log")) for _ in range(waiting))]


@pytest.mark.parametrize(
    ("took", "running", "waiting", "expected"),
    [
        ([], [10.0], 3, None),
        ([100.0, 100.0], [], 0, None),
        ([100.0], [0.0], 0, 100.0),
        ([50.0, 150.0], [40.0, 40.0], 0, 60.0),
        ([100.0], [50.0, 50.0], 4, 250.0),
        ([100.0], [90.0, 10.0], 0, 90.0),  # the slowest decides
        ([100.0], [300.0], 0, 0.0),
        ([100.0], [], 2, 200.0),
    ],
)
def test_the_time_left_follows_from_the_finished_members(
    took: list[float], running: list[float], waiting: int, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seconds_left(members_of(took, running, waiting, monkeypatch)) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 seconds"), (119, "119 seconds"), (130, "2 minutes"), (7300, "2 hours")]
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_each_end_is_one_whole_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    members = members_of([100.0], [50.0], 1, monkeypatch)
    with View(members) as view:
        view.refresh()
        view.refresh()
        members[1].exit_code = 3
        view.refresh()
    output, errors = capsys.readouterr()
    first, second = output.splitlines()
    assert "1 of 3" in first
    assert "2 minutes" in first or "150 seconds" in first
    assert "2 of 3" in second
    assert "busy: failed" in second
    assert errors == ""
