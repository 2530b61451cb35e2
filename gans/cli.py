"""How a command ends: bad input is answered in one line, with an exit code that is not 0."""

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from gans.building import one_line
from gans.errors import InputError, InterruptedTraining, TrainingError


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
    except (InputError, TrainingError, InterruptedTraining) as error:
        fail(str(error), error.exit_code)
    except (HydraException, OmegaConfBaseException) as error:
        fail(explain(error), InputError.exit_code)
    except OSError as error:
        if error.errno is None:
            raise
        fail(f"{error.strerror}: '{error.filename}'" if error.filename else str(error.strerror), InputError.exit_code)


def quiet() -> None:
    """Leave the screen to what a person watches: no advice on loader workers, no lines about what is not used."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def fail(message: str, exit_code: int) -> None:
    print(f"{'' if exit_code == InterruptedTraining.exit_code else 'error: '}{message}", file=sys.stderr)
    sys.exit(exit_code)


def explain(error: Exception) -> str:
    """Hydra's complaint in one line."""
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return (
            f"unknown {group} '{name}'{suggestion(name, error.options)}: choose from {', '.join(sorted(error.options))}"
        )
    message = one_line(error)
    key = re.match(r"Could not override '([^']+)'", message)
    if key and "No match in the defaults list" not in message:
        return f"unknown option '{key[1]}': see the options of your command with --cfg job"
    return message


def suggestion(word: str, choices: Sequence[str]) -> str:
    close = get_close_matches(word, choices, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
