"""What is said of a sweep while it runs."""

from pathlib import Path

import pytest

from gans.sweep.member import Member
from gans.sweep.view import View


def test_members_that_run_side_by_side_are_half_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the first of many that end together would promise many times the time that all take."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    members = [Member(f"seed={seed}", [], Path("log"), has_process=seed < 4) for seed in range(8)]
    with View(members) as view:
        now = 100.0
        members[0].exit_code = 0
        view.refresh()
    assert "1 of 8 members are done, all in about 0:04:40" in capsys.readouterr().out  # 7 of them, 1 + 3/2 in 100 s


def test_without_a_terminal_each_end_is_one_whole_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time left follows from the members that have ended since the start: not from those that had before. One that
    was stopped is not done, and then nobody knows when all will be."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    members = [Member(f"seed={seed}", [], Path("log")) for seed in range(4)]
    members[0].exit_code = 0
    with View(members) as view:
        view.refresh()
        for member, code in zip(members[1:], (3, 143, 0), strict=True):
            now += 60.0
            member.exit_code = code
            view.refresh()
            view.refresh()
    output, errors = capsys.readouterr()
    start, *lines = output.splitlines()
    assert "3 of 4 members to run" in start
    assert [f"{done} of 4" in line for done, line in zip((1, 2, 2, 3), lines, strict=True)] == [True] * 4
    assert [f"seed={number}: {outcome}" in line for number, (outcome, line) in enumerate(
        zip(("finished", "failed", "stopped", "finished"), lines, strict=True))] == [True] * 4  # fmt: skip
    assert "0:02:00" in lines[1]
    assert ["0:0" in line for line in (lines[0], lines[2], lines[3])] == [False] * 3
    assert errors == ""
