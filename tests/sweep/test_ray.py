"""Members as tasks of a real Ray on this machine."""

import importlib.util
import ipaddress
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from gans.errors import InputError
from gans.run.folder import RunFolder
from gans.sweep.member import Member
from gans.sweep.ray import Ray
from tests.configs import ROOT
from tests.forked import Command
from tests.run.runs import tiny

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="not here: ray (pip install -e '.[ray]')")
LONG = tiny("trainer.max_epochs=null", "trainer.max_steps=200", "checkpoint.every_steps=10", "log_every=10")
OPTIONS: dict[str, Any] = {"n_jobs": -1, "cpus": 1, "gpus": 0, "address": None}


def sweep(folder: Path, *arguments: str) -> Command:
    return Command(folder, "train.py", "-m", "hydra/launcher=ray", *arguments)


def listening_addresses(session: int) -> set[str]:
    """The addresses at which the processes of a session listen."""
    found = set()
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session or "ray" in " ".join(process.cmdline()):
                found |= {each.laddr.ip for each in process.net_connections("inet") if each.status == "LISTEN"}
        except (psutil.Error, OSError):
            continue
    return found


def members_of(folder: Path) -> list[psutil.Process]:
    """The processes of members that run in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            is_member = str(ROOT / "train.py") in process.cmdline() and "-m" not in process.cmdline()
            if is_member and Path(process.cwd()) == folder.resolve():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


@pytest.mark.engines
@needs_ray
def test_a_sweep_is_stopped_in_order_killed_and_finished_by_the_same_command(tmp_path: Path) -> None:
    arguments = tiny(*LONG, "data.batch_size=8,5000,12")
    runs = tmp_path / "runs"

    def folders() -> list[RunFolder]:
        return [RunFolder(path.parent) for path in sorted(runs.glob("*/config.yaml"))]

    def events() -> list[list[str]]:
        return [[event["event"] for event in run.history.events] for run in folders()]

    def wait_until(holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.1)

    def one_trains(event: str) -> bool:
        return any(each[-1:] == [event] for each in events()) and any(run.last_step > 0 for run in folders())

    for number, code, event in ((signal.SIGINT, 130, "started"), (signal.SIGKILL, -9, "resumed")):
        leader = sweep(tmp_path, *arguments)
        wait_until(partial(one_trains, event))
        addresses = listening_addresses(leader.pid)
        assert addresses
        assert all(map(is_loopback, addresses)), addresses
        os.killpg(leader.pid, number) if number == signal.SIGINT else leader.send_signal(number)
        _, errors = leader.communicate()
        assert leader.returncode == code, errors
        wait_until(lambda: not members_of(tmp_path))
        if number == signal.SIGINT:  # after SIGKILL, Ray kills all that it has started
            assert all(each[-1] == "stopped" for each in events())

    leader = sweep(tmp_path, *arguments)
    output, errors = leader.communicate()
    assert leader.returncode == 2, errors
    assert "2 of 3 members are finished" in output
    assert re.search(r"^failed: .*batch_size=5000.*\n.*data.batch_size=5000 .*0001.log", errors, re.MULTILINE)
    assert [each[-1] for each in events()] == ["finished"] * 2
    assert any("stopped" in each for each in events())


@pytest.mark.engines
@needs_ray
def test_members_that_fail_or_are_killed_stop_no_other(tmp_path: Path) -> None:
    script = "import os, signal, sys, time; exec(sys.argv[1])"
    sees_no_gpu = "exit(os.environ['CUDA_VISIBLE_DEVICES'] != '')"
    texts = ["exit(3)", "os.kill(os.getpid(), 9)", "os.kill(os.getppid(), 9); time.sleep(60)", sees_no_gpu]
    members = [
        Member("", [sys.executable, "-c", script, text], tmp_path / f"{number}.log")
        for number, text in enumerate(texts)
    ]
    Ray.model_validate(OPTIONS).run(members, lambda: None)
    assert [member.exit_code for member in members] == [3, 137, 137, 0]


@pytest.mark.engines
@needs_ray
@pytest.mark.parametrize(("option", "value", "word"), [("gpus", 100, "GPUs"), ("address", "127.0.0.1:9", "reached")])
def test_what_ray_has_not_is_told_in_a_line(tmp_path: Path, option: str, value: Any, word: str) -> None:
    with pytest.raises(InputError, match=rf"^[^\n]*{word}[^\n]*$"):
        Ray.model_validate(OPTIONS | {option: value}).run([Member("", [], tmp_path / "log")], lambda: None)
    assert not (tmp_path / "log").exists()


@pytest.mark.skipif(HAS_RAY, reason="Ray is here")
def test_a_machine_without_ray_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\[ray\]"):
        Ray.model_validate(OPTIONS).run([Member("", [], tmp_path / "log")], lambda: None)
