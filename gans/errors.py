"""Errors that end a command with a line and an exit code, warnings, and the commands that such lines recommend."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf


def option_of(override: str) -> str:
    """The option or config group that an override is of: "+model.lr=1" is of "model.lr"."""
    return override.lstrip("+~").partition("=")[0]


def warn(text: str) -> None:
    """Say in one line what a user should know, though the command goes on."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


@cache
def warn_once(text: str) -> None:
    """Warn of something once in a process, however often it is met."""
    warn(text)


class InputError(Exception):
    """The command, config or data are wrong: the message says what is wrong, where, and what to write instead."""

    exit_code = 2


class TrainingError(Exception):
    """Training cannot continue, although the config is valid: a value is no longer finite."""

    exit_code = 3
    training_step: int | None = None
    """The step that failed, counted from 1; None if it was seen later, in samples."""


class InterruptedTraining(BaseException):  # libraries may catch any Exception
    """Training was stopped by Ctrl-C, SIGTERM or SIGHUP, after saving a checkpoint.

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


REPOSITORY = Path(__file__).resolve().parent.parent
"""The folder of the commands."""
CONFIG_DIRS: ContextVar[Sequence[str]] = ContextVar("CONFIG_DIRS", default=())
"""The folder of ``config_dir=`` in Python, for the commands that messages recommend."""


def one_line(error: BaseException) -> str:
    """An exception's message, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def shell_command(script: str, options: Mapping[str, Any]) -> str:
    """A command to paste into a shell: ``python train.py 'resume="/tmp/my, runs/a"'``."""
    return shlex.join(["python", *command_words(script), *hydra_overrides(options)])


def command_words(script: str) -> list[str]:
    """How a command starts, as words: its script, beside the present one, with the present ``--config-dir``."""
    folders = CONFIG_DIRS.get() or (config_dirs(HydraConfig.get()) if HydraConfig.initialized() else ())
    before = [part for folder in folders for part in ("--config-dir", folder)]
    return [str((Path(sys.argv[0]).parent if present_command() else REPOSITORY) / script), *before]


def present_command() -> str:
    """The name of the command that runs, such as ``train``; "" in a script or notebook that imports the package."""
    given = Path(sys.argv[0])
    own = REPOSITORY / given.name
    return given.stem if own.is_file() and given.is_file() and own.samefile(given) else ""


def hydra_overrides(options: Mapping[str, Any]) -> list[str]:
    """Options as Hydra reads them on a command line."""
    return [f"{name}={hydra_value(value)}" for name, value in options.items()]


def config_dirs(hydra: Any) -> list[str]:
    """The folders of a command's ``--config-dir``, from Hydra's own config."""
    sources: Any = OmegaConf.to_container(hydra.runtime.config_sources, resolve=False)  # a name may contain "${"
    return [each["path"] for each in sources if each["provider"] == "command-line"]


def hydra_value(value: Any) -> str:
    """A value as Hydra reads it on a command line; text is quoted only where it has to be."""
    if isinstance(value, list):
        return f"[{','.join(map(hydra_value, value))}]"
    if not isinstance(value, str):
        return "null" if value is None else str(value).lower()
    if "$" not in value and _reads_as(value, value) and _reads_as(f"[{value}]", [value]):
        return value
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)  # else OmegaConf takes ${...} for the name of an option
    return QuotedString(escaped, Quote.double).with_quotes()


def _reads_as(text: str, value: Any) -> bool:
    try:
        return bool(OverridesParser.create().parse_override(f"x={text}").value() == value)
    except HydraException:
        return False
