"""Errors that end a command with a line and an exit code, and warnings."""

import os
import signal
import sys
from functools import cache


def warn(text: str) -> None:
    """Say in one line what a user should know, though the command goes on."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


@cache
def warn_once(text: str) -> None:
    """Warn of something once in a process, however often it is met."""
    warn(text)


def one_line(error: BaseException) -> str:
    """An exception's message, without line breaks; if it has none, its class and the message of its cause."""
    message, name = " ".join(str(error).split()), type(error).__name__
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return message or (f"{name}: {one_line(cause)}" if cause else name)


def is_want_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory is used up; PyTorch has an error of its own for GPUs only."""
    kinds = {each.__name__ for each in type(error).__mro__}  # PyTorch takes seconds to import
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or "DefaultCPUAllocator" in str(error)


class InputError(Exception):
    """The command, config or data are wrong: the message says what is wrong, where, and what to write instead."""

    exit_code = 2


class TrainingError(Exception):
    """Training cannot continue, although the config is valid: a value is no longer finite."""

    exit_code = 3
    training_step: int | None = None
    """The step that failed, counted from 1; None if it was seen later, in samples."""


class InterruptedTraining(BaseException):  # libraries may catch any Exception
    """Training was stopped by Ctrl-C, SIGTERM or SIGHUP, after saving a checkpoint; by a second Ctrl-C without.

    Args:
        signal_number: the signal's number; the exit code is 128 + this number, as in shells.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


HANGUP = getattr(signal, "SIGHUP", None)
"""What a closed terminal or a lost connection sends; None on Windows."""


def let_go_of_terminal(number: int) -> None:
    """After SIGHUP print to files only: to write to a terminal that is gone, or to a pipe to it, would be an error."""
    for output in (1, 2) if number == HANGUP else ():
        if not os.path.isfile(output):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
