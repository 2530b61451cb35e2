"""Functions and commands in processes of their own, forked from one that has done the imports, which take seconds."""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from gans.errors import InterruptedTraining
from gans.sweep import processes
from tests.configs import ROOT

PATHS = list(sys.path)
"""Where the process that has done the imports finds them, and not what a test adds."""
LONGEST = 600
"""Seconds until a command counts as hung."""


@cache
def _server() -> ForkServerContext:
    """It starts without what a test has set for one command."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.run.killed"])
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MPLBACKEND", "GANS_SWEEP_LEADER"):
            patch.delenv(name, raising=False)
        ensure_running()
    return context


def begin(task: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run a function in a fresh process."""
    cache, threads = os.environ["GANS_CACHE"], torch.get_num_threads()
    process = _server().Process(target=_run, args=(cache, threads, task, *arguments))
    process.start()
    return process


def exit_code(task: Callable[..., None], *arguments: Any) -> int:
    """The exit code of a function in a fresh process, negative where a signal killed it."""
    process = begin(task, *arguments)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


class Command:
    """``python train.py ...`` or another command, in a session of its own and with the present environment."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self._written = tempfile.TemporaryDirectory()
        self._files = [Path(self._written.name) / name for name in ("stdout", "stderr")]
        given = torch.get_num_threads(), folder, dict(os.environ), self._files, [str(ROOT / name), *arguments]
        self._process = _server().Process(target=_run_command, args=given)
        self._process.start()
        atexit.register(self._kill)  # after a test that failed

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None until it has ended; negative where a signal killed it."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    @property
    def output(self) -> str:
        """What it has written to stdout so far."""
        return self._files[0].read_text() if self._files[0].exists() else ""

    def communicate(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr, once it has ended."""
        self._process.join(LONGEST)
        output, errors = (file.read_text() if file.exists() else "" for file in self._files)
        self._kill()
        self._written.cleanup()
        assert self.returncode is not None, f"it hangs: {output}{errors}"
        return output, errors

    def _kill(self) -> None:
        if self.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)


def run(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command from its start to its end."""
    command = Command(folder, name, *arguments)
    output, errors = command.communicate()
    assert command.returncode is not None
    return subprocess.CompletedProcess([name, *arguments], command.returncode, output, errors)


class _Member:
    """As ``subprocess.Popen``, of a sweep's member: forked from its leader, which has done the imports."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], stdout: BinaryIO, **_: Any) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run_member(command, env, stdout.fileno())

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def _run_member(command: Sequence[str], environment: Mapping[str, str], log: int) -> None:
    """What the leader has set is as in a fresh process: handlers of signals, files, Hydra."""
    code: Any = 1
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.closerange(3, 256)
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        _, script, *arguments = command
        _run_command(int(environment["OMP_NUM_THREADS"]), Path.cwd(), environment, [], [script, *arguments])
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _run(cache: str, threads: int, task: Callable[..., None], *arguments: Any) -> None:
    os.environ["GANS_CACHE"] = cache
    torch.set_num_threads(threads)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            task(*arguments)
        except InterruptedTraining as stop:
            os._exit(stop.exit_code)
    os._exit(0)


def _run_command(
    threads: int, folder: Path, environment: Mapping[str, str], files: Sequence[Path], arguments: list[str]
) -> None:
    torch.set_num_threads(threads)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv, sys.path[:] = arguments, [str(ROOT), *PATHS]
    started = {"Popen": _Member, "DEVNULL": subprocess.DEVNULL, "STDOUT": subprocess.STDOUT}
    vars(processes)["subprocess"] = SimpleNamespace(**started)
    atexit._clear()  # what the server has registered
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out
