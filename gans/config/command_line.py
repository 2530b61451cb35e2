"""Start and end of a command: errors in one line, and exit codes."""

import io
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from gans.config.explain import CONF, EXPECTED, configs_of_others, known_options, message_of
from gans.config.resolve import resolve, without_replaced
from gans.config.schema import ANY_OF, ONE_NAME, RunConfig
from gans.config.shell import CONFIG_DIR_FLAGS, folders_given, option_of, present_command, values_given
from gans.errors import (
    HANGUP,
    InputError,
    InterruptedTraining,
    TrainingError,
    is_want_of_memory,
    let_go_of_terminal,
    one_line,
)

NEEDED = set(RunConfig.model_fields) - set(ANY_OF)
"""Groups and options that every run has."""
BROKEN_PIPE = 13
"""The number of SIGPIPE, which Windows does not have."""


def run_command(main: Callable[[], None]) -> None:
    """Run a function that ``hydra.main`` decorates. Expected errors print one line and no traceback."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises its errors instead of printing several lines
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown in windows, and an unknown backend would end matplotlib
    arguments = sys.argv[1:]
    if os.environ.get("GANS_DATA_ROOT") == "":  # as containers set what is not given
        del os.environ["GANS_DATA_ROOT"]
    with open(os.devnull, "w") as nowhere, one_line_errors(), stopped_by_signals():
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere  # None if closed, as by a daemon
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # letters that its encoding has not are shown by their numbers
                stream.reconfigure(errors="backslashreplace")
        sys.argv[1:] = flags_last(arguments)
        refuse_unreadable(arguments)
        refuse_sweep(arguments)
        settings = [text for text in arguments if option_of(text).startswith(("hydra.", "hydra/"))]
        refuse_hydra_settings(settings, sweeps=bool(SWEEP & {*arguments}))
        refuse_flags(arguments)
        refuse_config_places(arguments)
        main()
        sys.stdout.flush()  # here an error of it is seen


def flags_last(arguments: Sequence[str]) -> list[str]:
    """A command's arguments with Hydra's flags after the options: its parser takes none between them."""
    takes_value = {name for action in get_args_parser()._actions if action.nargs != 0 for name in action.option_strings}
    flags: list[str] = []
    others: list[str] = []
    for before, text in zip(["", *arguments], arguments, strict=False):
        is_value = before in takes_value and ("=" not in text or before in CONFIG_DIR_FLAGS)
        (flags if text.startswith("-") or is_value else others).append(text)
    return [*others, *flags]


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP are raised as exceptions, so that what is half-written is removed, as after Ctrl-C."""

    stops: list[InterruptedTraining] = []

    def stop(number: int, _: FrameType | None) -> None:
        let_go_of_terminal(number)
        for each in heard:  # they may be sent again, and what is cleaned up then must not be cut short
            signal.signal(each, signal.SIG_IGN)
        stops.append(InterruptedTraining(f"stopped by {signal.Signals(number).name}", number))
        raise stops[0]

    numbers = (signal.SIGTERM, HANGUP) if current_thread() is main_thread() else ()
    # nohup ignores SIGHUP
    heard = [number for number in numbers if number is not None and signal.getsignal(number) == signal.SIG_DFL]
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    except Exception as error:  # such as of a library that was cleaning up when the signal came
        if stops:
            raise stops[0] from error
        raise
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with one line for an expected error. Used inside a Hydra main too: Hydra would add lines."""
    try:
        yield
    except InterruptedTraining as stop:
        fail(str(stop), stop.exit_code)
    except KeyboardInterrupt:
        fail("stopped", 128 + signal.SIGINT)
    except BrokenPipeError:  # of "... | head": what is still to be printed goes nowhere, as of other commands
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + BROKEN_PIPE)
    except (*EXPECTED, ValueError) as error:
        fail(f"error: {message_of(error)}", getattr(error, "exit_code", InputError.exit_code))
    except (RuntimeError, MemoryError) as error:
        if not is_want_of_memory(error):
            raise
        fail(f"error: out of memory: {one_line(error)}", InputError.exit_code)


@contextmanager
def input_errors() -> Iterator[None]:
    """Raise an InputError for whatever a user can fix, but for a TrainingError."""
    try:
        yield
    except (InputError, TrainingError):
        raise
    except (*EXPECTED, ValueError) as error:
        raise InputError(message_of(error)) from error


def check_overrides(overrides: Sequence[str] | None = None) -> None:
    """Refuse what Hydra accepts but this command would ignore, with an InputError.

    Args:
        overrides: None: those of the command line.
    """
    given = list(HydraConfig.get().overrides.task) if overrides is None else list(overrides)
    for override in OverridesParser.create().parse_overrides(given):
        if override.is_delete() and override.key_or_group in NEEDED:
            raise InputError(f"{override.input_line}: no run does without: leave it out, or name another choice")
        value = override.value()
        if override.is_add() and override.key_or_group in ANY_OF and value in ("none", ["none"]):
            raise InputError(f"{override.input_line} adds nothing: leave out the +, which keeps what is chosen before")
        if override.key_or_group in ONE_NAME and isinstance(value, list):
            several = "; to run several, use -m and no brackets" if present_command() == "train" else ""
            raise InputError(f"{override.input_line}: name one choice, not a list{several}")
        if override.key_or_group in ANY_OF and isinstance(value, list) and len({*map(str, value)}) < len(value):
            raise InputError(f"{override.input_line}: name each choice once")
        if override.key_or_group in ANY_OF and isinstance(value, list) and len(value) > 1 and "none" in value:
            raise InputError(f"{override.input_line}: none stands alone: leave it out, or name nothing else")


def checked_options(config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """The options of a composed config of train.py; an InputError for what was given and would be ignored."""
    check_overrides(overrides)
    options = without_replaced(resolve(config), overrides)
    refuse_empty_choices(overrides, options)
    refuse_idle(overrides, options)
    return options


def refuse_empty_choices(overrides: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse a choice of several, such as ``stabilize=[ema,mine]``, whose file brings nothing, with an InputError."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        group, value = override.key_or_group, override.value()
        if override.is_delete():
            continue
        names = [name for name in (value if isinstance(value, list) else [value]) if name != "none"]
        if group in ANY_OF and len(brought := options[group]) < len(names):
            raise InputError(
                f"{override.input_line} brings {', '.join(brought) or 'nothing'}: a file in {group}/ is empty, or "
                "the files of two have the same key"
            )


def refuse_idle(overrides: Iterable[str], options: Mapping[str, Any]) -> None:
    """Refuse options of train.py that were given, but have no effect beside the others, with an InputError."""
    given = {option_of(text) for text in overrides}
    if "rollbacks" in given and options["on_nan"] == "stop":
        raise InputError(f"rollbacks={options['rollbacks']} has an effect with on_nan=rollback only: add it")
    if options["draw"] is not None and not options["figure"]:
        raise InputError(f"draw={options['draw']} draws nothing with figure=none: leave it out, or name figures")
    if "formats" in given and not options["figure"]:
        raise InputError(f"formats=[{','.join(options['formats'])}] is of figures, and figure=none draws none")
    if "evaluated_images" in given and not options["metric"]:
        raise InputError(f"evaluated_images={options['evaluated_images']} is of metrics, and metric=none computes none")
    if "trust" in given and options["resume"] is options["test"] is options["draw"] is None:
        raise InputError(
            "trust is of a config in a file, for resume=, test= or draw=: a new run needs none, leave it out"
        )


OF_LAUNCHER = ("hydra/launcher", "hydra.launcher.")
"""Hydra's settings that have an effect on the runs of a study."""
OF_SWEEPS = (*OF_LAUNCHER, "hydra/sweeper", "hydra.sweeper.", "hydra.mode")
"""Those that have one on the sweeps of train.py."""


SWEEP = {"-m", "--multirun", "hydra.mode=MULTIRUN"}


def refuse_hydra_settings(overrides: Iterable[str], sweeps: bool) -> None:
    """Refuse Hydra's own settings where they have no effect: ``runs`` or ``output`` says where to write.

    Before Hydra starts, because it would make the folders that they name.

    Args:
        sweeps: whether this is a sweep of train.py.
    """
    command = Path(sys.argv[0]).stem
    for text in overrides:
        if re.fullmatch(r"[+~]*hydra/launcher=basic", text):
            raise InputError(
                f"{text} is Hydra's own, which makes finished runs again: use hydra/launcher=processes, or leave it out"
            )
        if command == "train" and not sweeps and option_of(text).startswith(OF_SWEEPS):
            raise InputError(f"{text} says what runs the members of a sweep: add -m, or leave it out")
        heard = {"train": OF_SWEEPS, "study": OF_LAUNCHER}.get(command, ())
        if not option_of(text).startswith(heard):
            where = "runs" if command == "train" else "output"
            raise InputError(
                f"{text}: Hydra's own settings have no effect here. To write elsewhere, use {where}=<folder>"
            )


def refuse_sweep(arguments: Sequence[str]) -> None:
    """Refuse -m for the commands that make one thing at a time, before Hydra starts and writes its files."""
    command = Path(sys.argv[0]).stem
    if command != "train" and SWEEP & {*arguments}:
        raise InputError(f"-m is for sweeps of train.py: leave it out, and call {command}.py once for each value")


def refuse_unreadable(arguments: Sequence[str]) -> None:
    """Refuse text that files could not hold: letters that the process's encoding does not know."""
    for text in arguments:
        if (shown := text.encode(errors="backslashreplace").decode()) != text:
            raise InputError(
                f"{shown}: these letters are not those of this process's encoding, {sys.getfilesystemencoding()}: set "
                "PYTHONUTF8=1, or use a name in UTF-8"
            )


OWN_FILES = "leaves out this package's own files: use --config-dir, which adds yours to them"
FLAGS = {
    "--config-path": OWN_FILES,
    "-cp": OWN_FILES,
    "--experimental-rerun": "leaves out all other options: repeat the command itself",
}
"""Hydra's flags that are refused, and why."""


def refuse_flags(arguments: Sequence[str]) -> None:
    """Refuse flags of Hydra's that are of no use here, or that would be ignored."""
    flags = {text.partition("=")[0] for text in arguments}
    for flag in FLAGS.keys() & flags:
        raise InputError(f"{flag} {FLAGS[flag]}")
    known = {name for action in get_args_parser()._actions for name in action.option_strings}
    if unknown := sorted(flag for flag in flags if flag.startswith("--") and flag not in known):
        raise InputError(f"{unknown[0]} is no flag: options are written as name=value, such as trainer.max_epochs=5")
    if flags & {"--package", "-p"} and not flags & {"--cfg", "-c"}:
        raise InputError("--package says which part of the options --cfg shows: add --cfg job")
    for name in values_given(arguments, ("--config-name", "-cn")):
        if name in configs_of_others():
            command = {"config": "train"}.get(name, name)
            raise InputError(f"--config-name {name} is of {command}.py: call that command")


def refuse_config_places(arguments: Sequence[str]) -> None:
    """Refuse files in the folder of --config-dir that Hydra would not read."""
    for folder in folders_given(arguments):
        refuse_hidden(folder)
        refuse_groups_of_options(folder, arguments)


def refuse_groups_of_options(folder: str | Path, arguments: Iterable[str]) -> None:
    """Refuse options that have the name of a folder in the user's folder of choices: Hydra takes it for a group."""
    for name in (option_of(text) for text in arguments if "=" in text):
        place = Path(folder) / name
        is_group = (CONF / name).is_dir()
        if place.is_dir() and not is_group and name in known_options(present_command() or "train"):
            raise InputError(
                f"{name}=... is taken for a choice in '{place}': rename that folder, or give --config-dir one without "
                "such a folder"
            )


def refuse_hidden(folder: str | Path) -> None:
    """Refuse a user's folder of choices with a file that one of this package hides, as Hydra reads that one."""
    for own in sorted(CONF.rglob("*.yaml")):
        file = Path(folder) / own.relative_to(CONF)
        if file.is_file() and not file.samefile(own):
            raise InputError(f"'{file}' would not be read, since this package has a file of that name: rename it")


def make_importable(folders: Iterable[str]) -> None:
    """Let Python find classes in these folders."""
    sys.path += [folder for folder in folders if folder not in sys.path]


def silence_lightning() -> None:
    """Silence Lightning's log and warnings."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def fail(message: str, exit_code: int) -> None:
    print(message, file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads it, or it can't be written; Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(exit_code)
