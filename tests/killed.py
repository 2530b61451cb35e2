"""Training in a process of its own that is killed at a chosen moment, for real."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from gans.run.callbacks.evaluation import Evaluation
from gans.run.checkpoint_files import CheckedCheckpoints
from gans.errors import InterruptedTraining
from gans.gan import GAN
from gans.run.commands import resume_run, start_run
from tests.conftest import composed

MOMENTS = ("between the players", "in the evaluation")

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.killed"])  # the imports are done once


def begin(task: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run a function in a fresh process, that no thread of this one has left a lock to."""
    process = _server.Process(target=task, args=arguments)
    process.start()
    return process


def contents(step: int) -> dict[str, Any]:
    return {"training_steps": step, "weights": torch.full((200,), float(step)), "config": {"seed": 0}}


def save_forever(path: Path) -> None:
    for step in count(1):
        CheckedCheckpoints().save_checkpoint(contents(step), path)


def in_a_process(task: Callable[..., None], *arguments: Any) -> int:
    """Run a function in a fresh process; its exit code, negative where a signal killed it."""
    process = _server.Process(target=_run, args=(os.getcwd(), os.environ["GANS_CACHE"], task, *arguments))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def train(folder: Path, overrides: tuple[str, ...]) -> None:
    """A run that nobody kills."""
    start_run(composed(f"runs={folder}", *overrides), {"data": "d", "model": "m", "objective": "o"})


def train_until_killed(folder: Path, overrides: tuple[str, ...], number: int, step: int, moment: str) -> None:
    """The same, but at a moment of a step (counted from 1) the process gets a signal."""
    kill_at(number, step, moment)
    train(folder, overrides)


def go_on(run: Path) -> None:
    resume_run(run)


def kill_at(number: int, step: int, moment: str) -> None:
    """Have this process killed: a real signal, sent to itself."""
    update, judge = GAN.update, Evaluation.on_validation_epoch_end

    def die(gan: GAN) -> None:
        if gan.training_steps == step - (moment == "between the players"):
            os.kill(os.getpid(), number)

    def updated(self: GAN, player: str, *arguments: Any) -> None:
        if player == "generator" and moment == "between the players":
            die(self)
        update(self, player, *arguments)

    def judged(self: Evaluation, trainer: Any, gan: GAN) -> None:
        if moment == "in the evaluation":
            die(gan)
        judge(self, trainer, gan)

    patch = pytest.MonkeyPatch()  # never undone: this process ends
    patch.setattr(GAN, "update", updated)
    patch.setattr(Evaluation, "on_validation_epoch_end", judged)


def _run(folder: str, cache: str, task: Callable[..., None], *arguments: Any) -> None:
    os.chdir(folder)
    os.environ["GANS_CACHE"] = cache
    torch.set_num_threads(1)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            task(*arguments)
        except InterruptedTraining as stop:
            os._exit(stop.exit_code)
    os._exit(0)
