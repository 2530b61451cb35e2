"""What a process does until a real signal ends it at a chosen moment."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from gans.run.checkpoint_files import VerifiedCheckpointIO, checkpoint_path
from tests.run.runs import Moment, do_at, start


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
