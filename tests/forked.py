"""Functions and commands in processes of their own, forked from one that has done the imports, which take seconds."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from gans.errors import InterruptedTraining
from tests.conftest import ROOT

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.run.killed"])


def begin(task: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run a function in a fresh process."""
    cache, threads = os.environ["GANS_CACHE"], torch.get_num_threads()
    process = _server.Process(target=_run, args=(cache, threads, task, *arguments))
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
        given = folder, dict(os.environ), Path(self._written.name), [str(ROOT / name), *arguments]
        self._process = _server.Process(target=_run_command, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None until it has ended; negative where a signal killed it."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr, once it has ended."""
        self._process.join()
        with self._written as folder:
            return (Path(folder) / "stdout").read_text(), (Path(folder) / "stderr").read_text()


def run(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command from its start to its end."""
    command = Command(folder, name, *arguments)
    output, errors = command.communicate()
    assert command.returncode is not None
    return subprocess.CompletedProcess([name, *arguments], command.returncode, output, errors)


def _run(cache: str, threads: int, task: Callable[..., None], *arguments: Any) -> None:
    os.environ["GANS_CACHE"] = cache
    torch.set_num_threads(threads)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            task(*arguments)
        except InterruptedTraining as stop:
            os._exit(stop.exit_code)
    os._exit(0)


def _run_command(folder: Path, environment: Mapping[str, str], written: Path, arguments: list[str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(written / name, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = arguments
    sys.path.insert(0, str(ROOT))
    runpy.run_path(arguments[0], run_name="__main__")
