"""Training in a process of its own, which a real signal ends at a chosen moment."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from gans.errors import InterruptedTraining
from gans.run.checkpoint_files import VerifiedCheckpointIO, checkpoint_path
from tests.run.runs import Moment, do_at, start

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.run.killed"])  # the imports are done once


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


def train_until_killed(folder: Path, overrides: tuple[str, ...], number: int, moment: Moment, step: int) -> None:
    """A run whose process gets a signal at a moment."""
    do_at(pytest.MonkeyPatch(), moment, step, lambda _: os.kill(os.getpid(), number))  # this process ends: no undoing
    start(folder, *overrides)


def save_forever(folder: Path) -> None:
    """Write one checkpoint after the other."""
    step = 0
    while True:
        step += 1
        VerifiedCheckpointIO().save_checkpoint(contents(step), checkpoint_path(folder, "last", step))


def contents(step: int) -> dict[str, Any]:
    """A small checkpoint."""
    return {"training_steps": step, "state_dict": {"weights": torch.full((200,), float(step))}, "config": {"seed": 0}}


def _run(cache: str, threads: int, task: Callable[..., None], *arguments: Any) -> None:
    os.environ["GANS_CACHE"] = cache
    torch.set_num_threads(threads)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            task(*arguments)
        except InterruptedTraining as stop:
            os._exit(stop.exit_code)
    os._exit(0)
