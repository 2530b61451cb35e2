"""How a command begins and ends: bad input is answered in one line, with an exit code that is not 0."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gans.config.resolve import flatten
from gans.errors import InputError, InterruptedTraining, TrainingError, one_line

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


def prepare() -> None:
    """Make classes in the folder of --config-dir importable, and leave the screen to what a person watches.

    Called where Lightning has been imported, which sets its own levels then.
    """
    for source in HydraConfig.get().runtime.config_sources:
        if source.provider == "command-line" and source.path not in sys.path:
            sys.path.append(source.path)
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
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        choices = sorted(error.options or [path.stem for path in (_conf() / group).glob("*.yaml")])
        return f"unknown {group} '{name}'{suggestion(name, choices)}: choose from {', '.join(choices)}"
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": '{error.filename}'" if error.filename else "")
    message = one_line(error)
    if message.startswith("Could not override '"):
        option = message.split("'")[1]
        return f"unknown option '{option}'{suggestion(option, known_names())}: --cfg job shows all options"
    return message


def suggestion(word: str, names: Iterable[str]) -> str:
    """ " (did you mean ...?)" with the closest name, or else the one whose last part is closest; "" if none is close."""
    by_last_part = {name.rpartition(".")[2]: name for name in names}
    for candidates in ({name: name for name in names}, by_last_part):
        if close := get_close_matches(word.rpartition(".")[2] if candidates is by_last_part else word, candidates, n=1):
            return f" (did you mean '{candidates[close[0]]}'?)"
    return ""


def known_names() -> list[str]:
    """The groups and the dotted options of the command that runs, as the files in conf/ name them."""
    command = Path(sys.argv[0]).stem
    names = [path.name for path in _conf().iterdir() if path.is_dir()]
    for path in [_conf() / ("config.yaml" if command == "train" else f"{command}.yaml"), *_conf().glob("*/*.yaml")]:
        is_global = path.parent == _conf() or "@package _global_" in path.read_text(encoding="utf-8")
        options = OmegaConf.to_container(OmegaConf.load(path))
        names += flatten(options, "" if is_global else path.parent.name)
    return names


def _conf() -> Path:
    return Path(sys.argv[0]).resolve().parent / "conf"
