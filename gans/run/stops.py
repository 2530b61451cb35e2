"""How a command on a run stops before its end: what is recorded, and the command that resumes or repeats it."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal

from gans.config.schema import RunConfig
from gans.config.shell import shell_command
from gans.config.validate import foreign_packages
from gans.errors import InputError, InterruptedTraining, is_want_of_memory, one_line
from gans.run import slurm
from gans.run.folder import RunFolder
from gans.run.history import History

LIMITS = ("max_epochs", "max_steps")
"""The trainer's options that limit training."""


@contextmanager
def record_stops(run: RunFolder, config: RunConfig, history: History) -> Iterator[None]:
    """Record in the history why a run stops, and raise an error that says how to resume it."""
    command = again("resume", run, config, {})
    try:
        yield
    except InterruptedTraining as stop:
        history.add("stopped", why=str(stop))
        if stop.signal_number == slurm.REQUEUE_SIGNAL:  # the job resumes it
            raise
        raise InterruptedTraining(f"{stop}. Resume it with: {command}", stop.signal_number) from None
    except OSError as error:
        name = os.fsdecode(error.filename or run.path)
        why = f"{error.strerror or error}: '{name}'"
        if isinstance(error, BrokenPipeError):
            why = "nothing reads what the run prints any more (broken pipe)"
        with suppress(OSError, InputError):  # perhaps nothing can be written
            history.add("stopped", why=why)
        raise InputError(f"{why}. Solve this, and resume the run with: {command}") from error
    except (RuntimeError, MemoryError) as error:
        if not is_want_of_memory(error):
            raise
        with suppress(OSError, InputError):
            history.add("stopped", why="out of memory")
        raise InputError(
            f"out of memory: {one_line(error)}. Free some, or start a new run with a smaller data.batch_size or "
            f"evaluated_images; resume this one with: {command}"
        ) from error
    except InputError as error:  # such as of a metric of the user's own, which is first computed after training
        with suppress(OSError, InputError):
            history.add("stopped", why=str(error))
        raise InputError(
            f"{error}. The run is kept: correct the code or the option, and go on with: {command}"
        ) from error


@contextmanager
def say_how_to_repeat(command: str, when: str) -> Iterator[None]:
    """Raise an error that says how to repeat a command that a signal stopped."""
    try:
        yield
    except (InterruptedTraining, KeyboardInterrupt) as stop:
        number = getattr(stop, "signal_number", signal.SIGINT)
        message = f"stopped by {signal.Signals(number).name} {when}. Repeat it with: {command}"
        raise InterruptedTraining(message, number) from None


def longer(config: RunConfig, run: RunFolder) -> str:
    """The command that trains a finished run for twice as long."""
    limits = {name: config.trainer.get(name) for name in LIMITS}
    return again("resume", run, config, {f"trainer.{name}": 2 * limit for name, limit in limits.items() if limit})


def again(command: Literal["resume", "test"], run: RunFolder, config: RunConfig, options: Mapping[str, Any]) -> str:
    """A command for an existing run, to paste into a shell."""
    root, trust = config.data.get("root"), foreign_packages(config.model_dump())
    moved = {} if root == run.config["data"].get("root") else {"data.root": root}
    return shell_command(
        "train.py", {command: str(run.path), **options, **moved, **({"trust": trust} if trust else {})}
    )
