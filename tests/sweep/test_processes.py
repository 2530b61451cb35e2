"""Several commands at once, and how a signal ends them: short Python commands in the place of trainings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gans.errors import InputError
from gans.sweep.member import Member
from gans.sweep.processes import Processes

COMMAND = [sys.executable, "-c", "import sys; exec(sys.argv[1])"]
WAITS = """
import os, signal, time

def save(*_):
    os.write(1, b"saved\\n")
    os._exit(143)

signal.signal(signal.SIGTERM, save)
os.write(1, b"trains\\n")
time.sleep(60)
"""
IGNORES = WAITS.replace("SIGTERM, save", "SIGTERM, signal.SIG_IGN")


def members_of(folder: Path, *scripts: str) -> list[Member]:
    return [Member("", [*COMMAND, script], folder / f"{number}.log") for number, script in enumerate(scripts)]


def run(members: list[Member], show: Callable[[], None] = lambda: None) -> list[int]:
    """Run members, two at once. Returns the signals that have come."""
    engine = Processes(n_jobs=2, per_gpu=1)
    engine.prepare(len(members), {"cpu"})
    return engine.run(members, show)[0]


def last_line(member: Member) -> str:
    return ["", *member.lines()][-1]


def signal_when(ready: Callable[[], bool], number: signal.Signals, times: int = 1) -> Callable[[], None]:
    """A function that is called while members run, and sends this process signals once something is so."""
    sent: list[int] = []

    def show() -> None:
        if len(sent) < times and ready():
            sent.append(number)
            signal.raise_signal(number)

    return show


def printed(*members: Member) -> Callable[[], bool]:
    """Whether each of the members has printed something."""
    return lambda: all(last_line(member) for member in members)


def test_as_many_members_run_at_once_as_asked_for_each_in_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    script = f"""
import os, pathlib, time
busy = pathlib.Path({str(tmp_path)!r}, "busy" + os.environ["CUDA_VISIBLE_DEVICES"])
busy.mkdir()  # an error, if two members had one slot
time.sleep(0.3)
print("GPU", os.environ["CUDA_VISIBLE_DEVICES"])
busy.rmdir()
"""
    engine = Processes(n_jobs=-1, per_gpu=1)
    engine.prepare(5, {"auto"})
    members = members_of(tmp_path, *[script] * 5)
    engine.run(members, lambda: None)
    assert [member.exit_code for member in members] == [0] * 5
    assert {last_line(member) for member in members} == {"GPU 0", "GPU 1"}


def test_a_member_that_fails_or_is_killed_stops_no_other(tmp_path: Path) -> None:
    kill = "import os; os.kill(os.getpid(), 9)"
    members = members_of(tmp_path, "exit(3)", kill, "print('x' * 100000)", "1 / 0", "pass")
    run(members)
    assert [member.exit_code for member in members] == [3, 128 + signal.SIGKILL, 0, 1, 0]
    assert "ZeroDivisionError" in last_line(members[3])


def test_what_shows_that_members_are_of_no_use_stops_them(tmp_path: Path) -> None:
    members = members_of(tmp_path, WAITS, WAITS, "print('started')")
    ready = printed(*members[:2])

    def show() -> None:
        if ready():
            raise InputError("they can't be compared")

    with pytest.raises(InputError, match="they can't be compared"):
        run(members, show)
    assert [last_line(member) for member in members] == ["saved", "saved", ""]
    assert [member.exit_code for member in members] == [143, 143, None]


def test_members_that_have_ended_before_do_not_run(tmp_path: Path) -> None:
    before, new = members_of(tmp_path, "exit(3)", "pass")
    before.exit_code = 0
    run([before, new])
    assert (before.exit_code, new.exit_code, before.log.exists()) == (0, 0, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_that_run_in_order_and_starts_no_other(tmp_path: Path, number: signal.Signals) -> None:
    members = members_of(tmp_path, WAITS, WAITS, "print('started')")
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    received = run(members, show=signal_when(printed(*members[:2]), number))
    assert received == [number]
    assert [member.exit_code for member in members] == [143, 143, None]
    assert [last_line(member) for member in members] == ["saved", "saved", ""]
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 128 + signal.SIGKILL), (signal.SIGTERM, 0)])
def test_a_later_ctrl_c_kills_and_no_other_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, exit_code: int
) -> None:
    monkeypatch.setattr("gans.run.slurm.REPEATED_SECONDS", 0.0)
    seconds = 60 if exit_code else 1
    members = members_of(tmp_path, IGNORES.replace("sleep(60)", f"sleep({seconds})"), WAITS)
    run(members, show=signal_when(printed(*members), number, times=2))
    assert members[0].exit_code == exit_code


def test_a_signal_that_comes_again_at_once_kills_nobody(tmp_path: Path) -> None:
    members = members_of(tmp_path, WAITS)
    ready = printed(*members)
    sent: list[int] = []

    def interrupt_twice() -> None:
        if not sent and ready():
            sent.extend([signal.SIGINT] * 2)
            for number in sent:
                signal.raise_signal(number)

    received = run(members, show=interrupt_twice)
    assert (received, members[0].exit_code) == ([signal.SIGINT], 143)


def test_a_signal_while_a_member_is_started_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen.__init__

    def start_and_signal(process: subprocess.Popen[bytes], *arguments: Any, **options: Any) -> None:
        start(process, *arguments, **options)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_and_signal)
    members = members_of(tmp_path, "import time; time.sleep(60)")
    run(members)
    assert members[0].exit_code == 128 + signal.SIGTERM


def test_a_slurm_jobs_request_stops_members_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    members = members_of(tmp_path, WAITS)
    received = run(members, show=signal_when(printed(*members), signal.SIGUSR1))
    assert (received, members[0].exit_code) == ([signal.SIGUSR1], 143)


LEADER = """
import sys
from pathlib import Path
from gans.sweep.member import Member
from gans.sweep.processes import Processes

command = [sys.executable, "-c", "import sys; exec(sys.argv[1])", sys.argv[2]]
engine = Processes(n_jobs=2, per_gpu=1)
engine.prepare(3, {"cpu"})
engine.run([Member("", command, Path(sys.argv[1], f"{number}.log")) for number in range(3)], lambda: None)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere members outlive a leader that was killed")
def test_a_leader_that_is_killed_takes_its_members_along(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    script = WAITS.replace(
        "signal.signal(", "from gans.sweep.member import follow_leader; follow_leader(); signal.signal("
    )
    leader = subprocess.Popen([sys.executable, "-c", LEADER, str(tmp_path), script], cwd=root)
    logs = members_of(tmp_path, "", "")
    wait_until(printed(*logs))
    leader.kill()
    leader.wait()
    wait_until(lambda: [last_line(member) for member in logs] == ["saved", "saved"])
    assert not (tmp_path / "2.log").exists()


@pytest.mark.slow
def test_ctrl_c_reaches_members_once(tmp_path: Path) -> None:
    """A terminal sends it to all processes of the group; members are in groups of their own."""
    root = Path(__file__).parents[2]
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, str(tmp_path), WAITS], cwd=root, start_new_session=True, text=True
    )
    logs = members_of(tmp_path, "", "")
    wait_until(printed(*logs))
    os.killpg(leader.pid, signal.SIGINT)
    assert leader.wait(timeout=30) == 0
    assert [member.log.read_text() for member in logs] == ["trains\nsaved\n"] * 2


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
