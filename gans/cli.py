"""How a command ends: bad input is answered in one line, with an exit code that is not 0."""

import gc
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gans.errors import InputError, InterruptedTraining, TrainingError
from gans.options import flat, one_line

EXPECTED = (InputError, TrainingError, HydraException, OmegaConfBaseException, OSError)
"""What a person who types a command can mend, or must know."""


def run_command(main: Callable[[], None]) -> None:
    """Run a Hydra main; never a traceback for what the person who typed the command can mend."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra hands its errors on instead of printing several lines
    with one_line_errors():
        main()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Bad input ends the process with one line. Inside a Hydra main too, where Hydra would add lines of its own."""
    try:
        yield
    except InterruptedTraining as stop:
        fail(str(stop), stop.exit_code)
    except KeyboardInterrupt:
        fail("stopped", 128 + signal.SIGINT)
    except BrokenProcessPool:
        fail(
            "\nerror: a process of the sweep was killed, perhaps for want of memory: hydra.launcher.n_jobs=1 runs one "
            "member at a time. The same command goes on with the whole sweep",
            TrainingError.exit_code,
        )
    except EXPECTED as error:
        fail(f"error: {explain(error)}", exit_code_of(error))
    except ValueError as error:
        if not str(error).startswith("Config group override must be"):  # Hydra's own check of what a group is given
            raise
        fail(
            "error: a config group takes the name of one of its files in conf/, or a list of names",
            InputError.exit_code,
        )


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Around the import of what needs PyTorch and Lightning: without a search for garbage among their modules."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
    quiet()


def quiet() -> None:
    """Leave the screen to what a person watches: no advice on loader workers, no lines about what is not used.

    Once Lightning is imported, which sets its own levels then.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def exit_code_of(error: Exception) -> int:
    return error.exit_code if isinstance(error, TrainingError) else InputError.exit_code


def fail(message: str, exit_code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(exit_code)


def explain(error: Exception) -> str:
    """An expected error in one line."""
    if isinstance(error, InputError | TrainingError):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.strerror or error}" + (f": '{error.filename}'" if error.filename else "")
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return (
            f"unknown {group} '{name}'{suggestion(name, error.options)}: choose from {', '.join(sorted(error.options))}"
        )
    message = one_line(error)
    missing = re.search(r"Could not load '([^/']+)/([^']+)'", message)
    if missing:
        choices = sorted(path.stem for path in (_conf() / missing[1]).glob("*.yaml"))
        return f"unknown {missing[1]} '{missing[2]}'{suggestion(missing[2], choices)}: choose from {', '.join(choices)}"
    key = re.match(r"Could not override '([^'=]+)", message)
    if key:
        known = _known_options()
        close = suggestion(key[1], known) or suggestion(
            key[1].rpartition(".")[2], {name.rpartition(".")[2]: name for name in known}
        )
        return f"unknown option '{key[1]}'{close}: --cfg job shows all options"
    return message


def suggestion(word: str, choices: Iterable[str]) -> str:
    """ " (did you mean ...?)", or nothing where no choice is close; of a mapping, the value of the closest key."""
    close = get_close_matches(word, list(choices), n=1)
    if not close:
        return ""
    return f" (did you mean '{choices[close[0]] if isinstance(choices, Mapping) else close[0]}'?)"


def _conf() -> Path:
    return Path(sys.argv[0]).resolve().parent / "conf"


def _known_options() -> list[str]:
    """The dotted names of all options of the command that runs, with the group choices that it was given."""
    groups = {path.name for path in _conf().iterdir() if path.is_dir()}
    chosen = [argument for argument in sys.argv[1:] if argument.partition("=")[0] in groups]
    command = Path(sys.argv[0]).stem
    name = "config" if command == "train" else command
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(_conf()), version_base="1.3"):
        try:
            config = compose(name, overrides=chosen)
        except HydraException:  # a choice that this command does not have, such as generate.py's data
            config = compose(name)
    return list(flat(OmegaConf.to_container(config)))
