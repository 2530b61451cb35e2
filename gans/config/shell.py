"""Commands that messages recommend, quoted for a shell and for Hydra."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

REPOSITORY = Path(__file__).resolve().parents[2]
"""The folder of the commands."""
CONFIG_DIR_FLAGS = ("--config-dir", "-cd")
CONFIG_DIRS: ContextVar[Sequence[str]] = ContextVar("CONFIG_DIRS", default=())
"""The folder of ``config_dir=`` in Python, for the commands that messages recommend."""


def option_of(override: str) -> str:
    """The option or config group that an override is of: "+model.lr=1" is of "model.lr"."""
    return override.lstrip("+~").partition("=")[0]


def shell_command(script: str, options: Mapping[str, Any]) -> str:
    """A command to paste into a shell: ``python train.py 'resume="/tmp/my, runs/a"'``."""
    return shlex.join(["python", *command_words(script), *hydra_overrides(options)])


def command_words(script: str) -> list[str]:
    """The first words of a recommended command: the script in the present command's folder, and the present
    ``--config-dir``."""
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


def folders_given(arguments: Sequence[str]) -> list[str]:
    """The folders that a command's arguments give with ``--config-dir``."""
    return values_given(arguments, CONFIG_DIR_FLAGS)


def values_given(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """What a command's arguments give with a flag of these names: ``--flag=value`` or ``--flag value``."""
    flags = [(*text.partition("="), following) for text, following in zip(arguments, [*arguments, ""][1:], strict=True)]
    found = [value if equals else following for flag, equals, value, following in flags if flag in names]
    return [value for value in found if value]


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
