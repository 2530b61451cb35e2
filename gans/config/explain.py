"""Errors that a user can fix, Hydra's among them, in one line each, with what to write instead."""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gans.config.resolve import flatten
from gans.config.schema import ANY_OF, COMMANDS, ONE_NAME
from gans.config.shell import CONFIG_DIRS, folders_given, option_of, present_command
from gans.errors import InputError, TrainingError, one_line

CONF = Path(__file__).resolve().parents[2] / "conf"
"""The options' files, which lie beside the package in the repository."""

EXPECTED = (InputError, TrainingError, HydraException, OmegaConfBaseException, YAMLError, OSError)
"""Errors that a user can fix: they get one line instead of a traceback."""

OF_HYDRA = {
    "Config group override must be": "{given}: a config group takes the name of one of its files in conf/",
    "Only one of --": "{}. --cfg job shows the options of one run: leave -m and commas out",
    "The --resolve flag": "{}",
    "Expecting one subcommand": "{}, as --shell-completion install=bash",
    "Config group override deletion": "~ takes no list: name those that stay, as in stabilize=[ema], or stabilize=none",
    "Invalid defaults list": "{}: write each default as an item, such as - override /data: digits",
    "Unsupported item value in defaults": "{}: write a name, or a list of names",
    "Unsupported type in defaults": "{}: an item of defaults is empty",
}
"""Hydra's errors for a wrong command that are of no class of its own: how they start, and what is said: "{}" is the
error, "{given}" are the groups' values that are no names."""


def message_of(error: Exception, arguments: Sequence[str] | None = None, command: str = "") -> str:
    """The one-line message of an expected error or a ValueError; one that is not Hydra's is raised again.

    Args:
        arguments: the overrides that are meant; None: the command line.
        command: the command whose options are meant; "": the present one.
    """
    if isinstance(error, EXPECTED):
        return explain(error, command, is_typed=arguments is None)
    if isinstance(error, UnicodeDecodeError) and (file := file_with(error.object)):
        return f"'{file}' is not UTF-8 text: save it as UTF-8 ({one_line(error)})"
    if "Too many keys in default item" in str(error):
        return f"{one_line(error)}: each item of defaults needs a - of its own"
    message = next((text for start, text in OF_HYDRA.items() if str(error).startswith(start)), None)
    if message is None:
        raise error
    nameless = nameless_groups(sys.argv[1:] if arguments is None else arguments)
    return message.format(error, given=" ".join(nameless) or "a choice is no name")


def nameless_groups(arguments: Iterable[str]) -> list[str]:
    """The arguments that give a config group something else than a name, such as ``data=null``."""
    given = [text for text in arguments if "=" in text and (CONF / option_of(text)).is_dir()]
    return [text for text in given if not isinstance(OverridesParser.create().parse_override(text).value(), str | list)]


def explain(error: Exception, command: str = "", *, is_typed: bool = True) -> str:
    """The one-line message of an expected error.

    Args:
        command: the command whose options are meant; "": the present one.
        is_typed: whether the options are of a command line; else they are those of a study's arm.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        choices = sorted(error.options or [path.stem for path in (CONF / group).glob("*.yaml")])
        choices = [each for each in choices if (group, each) != ("hydra/launcher", "basic")]
        if not group:
            choices = [each for each in choices if each not in configs_of_others()]
        return f"unknown {group or 'config'} '{name}'{suggestion(name, choices)}: choose from {', '.join(choices)}"
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": '{error.filename}'" if error.filename else "")
    if isinstance(error, OverrideParseException):
        name, equals, value = error.override.partition("=")
        if not equals:
            return f"'{name}' is no option: options are written as name=value"
        quoted = shlex.quote(f"{name}={quoted_value(os.path.expanduser(value))}")
        return f"can't read '{error.override}': write lists as [a,b], and text with special characters as {quoted}"
    message = one_line(error)
    if isinstance(error, YAMLError):
        hint = '. A list in a list takes quotes: ["stabilize=[ema,r1]"]' if "expected ',' or ']'" in message else ""
        return f"a config file can't be read: {message}{hint}"
    return explain_text(message, command or present_command() or "train", is_typed=is_typed)


def configs_of_others() -> set[str]:
    """The names of the other commands' configs, which this command can't use."""
    command = present_command() or "train"
    own = command if command in COMMANDS else "config"
    return {path.stem for path in CONF.glob("*.yaml")} - {own}


def file_with(content: bytes) -> Path | None:
    """The config file that has this content; None if there is none."""
    for folder in [CONF, *map(Path, CONFIG_DIRS.get()), *map(Path, folders_given(sys.argv[1:]))]:
        for path in sorted(folder.rglob("*.yaml")):
            with suppress(OSError):
                if content in path.read_bytes():
                    return path
    return None


def explain_text(message: str, command: str, *, is_typed: bool = True) -> str:
    """Hydra's message for an option of a command, with what to write instead."""
    if message.startswith("In '"):
        file, _, problem = message.removeprefix("In '").partition("': ")
        return f"{file}.yaml: {explain_defaults(problem, command)}"
    quoted = message.split("'")[1] if "'" in message else ""
    if message.startswith("Could not override '"):
        option, names = quoted, known_options(command)
        unknown = f"unknown option '{option}'{suggestion(option, [*names])}"
        not_chosen = f"'{option}' is no option of the chosen {option.partition('.')[0]}"
        shows = "--cfg job" if command == present_command() else f"python {command}.py --cfg job"
        return f"{not_chosen if option in names else unknown}: {shows} shows all options"
    if message.startswith("Ambiguous value for argument '"):
        return explain_comma(quoted, command, is_typed=is_typed)
    return explain_choice(message, quoted)


def explain_choice(message: str, quoted: str) -> str:
    """Hydra's message for a config group that is left out or chosen twice, with what to write instead."""
    if message.startswith("Could not delete '") and (group := quoted.partition("=")[0]) in (*ANY_OF, *ONE_NAME):
        others = f"name those that stay, {group}=[...], or {group}=none" if group in ANY_OF else f"name another {group}"
        return f"~{quoted} leaves nothing out: {others}"
    doubled = re.match(r"Multiple values for (\S+)\.|(\S+) appears more than once in the final defaults", message)
    if doubled:
        group = doubled[1] or doubled[2]
        return (
            f"{group} is chosen twice: on a command line give it one name, without + and without brackets; in a file's "
            f"defaults write override /{group}"
        )
    return message


def explain_defaults(message: str, command: str) -> str:
    """Hydra's message for the defaults of a config file, with what to write instead."""
    quoted = message.split("'")[1] if "'" in message else ""
    if "@" in quoted:
        return "write # @package _global_ as its first line, as the files in conf/experiment/ do"
    if message.startswith("Could not override '"):
        return f"unknown config group '{quoted}'{suggestion(quoted, [*known_options(command)])}"
    return message


def explain_comma(argument: str, command: str, *, is_typed: bool) -> str:
    """What to write in place of ``name=a,b``: several runs or, where the option takes one, a list."""
    name, value = option_of(argument), argument.partition("=")[2]
    as_list = f"write a list as {name}=[{value}]"
    if command != "train":
        own = COMMANDS[command].model_fields if command in COMMANDS else {}
        kind = str(own[name].annotation) if name in own else known_options(command).get(name, "[")
        takes_list = name not in ONE_NAME and bool(re.search(r"list|dict|^\[", kind))
        return f"{argument}: {as_list if takes_list else f'call {command}.py once for each'}"
    usual = known_options(command).get(name, "")
    takes_list = name in ANY_OF or (name not in ONE_NAME and usual.startswith("["))
    several = f"to run several, add -m: -m {argument}" if is_typed else "of several values make an arm each"
    quoted = shlex.quote(f"{name}={quoted_value(value)}")
    as_name = f"; a comma in a name takes quotes: {quoted}" if "/" in value else ""
    said = f"{argument}: {as_list}; {several}" if takes_list else f"{argument} is more than one value: {several}"
    return said + as_name


def quoted_value(text: str) -> str:
    """A value that Hydra could not read, as text in quotes; of a list each element."""
    if text.startswith("[") and text.endswith("]"):
        return f"[{','.join(quoted_value(part.strip()) for part in text[1:-1].split(','))}]"
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text if is_quoted else QuotedString(text, Quote.double).with_quotes()


def suggestion(word: str, names: Sequence[str]) -> str:
    """ " (did you mean ...?)" with the closest name, by whole names first, then by last parts; "" if none is close."""
    by_last_part = {name.rpartition(".")[2]: name for name in names}
    close_parts = get_close_matches(word.rpartition(".")[2], by_last_part, n=1)
    close = get_close_matches(word, names, n=1) or [by_last_part[part] for part in close_parts]
    return f" (did you mean '{close[0]}'?)" if close else ""


@cache
def known_options(command: str) -> Mapping[str, str]:
    """The dotted options of a command and their values as text, read from conf/, and its config groups."""
    own = CONF / f"{command}.yaml"
    main = own if own.is_file() else own.with_stem("config")
    defaults = DictConfig(OmegaConf.load(main)).get("defaults", [])
    groups = [name for each in defaults if isinstance(each, Mapping) for name in each]
    chosen = {re.sub("override |optional |@.*", "", name) for name in groups}
    groups = [path.name for path in CONF.iterdir() if path.name in chosen]
    found = dict.fromkeys(groups, "a group")
    for path in [main, *(path for name in groups for path in (CONF / name).glob("*.yaml"))]:
        is_global = path.parent == CONF or "@package _global_" in path.read_text(encoding="utf-8")
        options = OmegaConf.to_container(OmegaConf.load(path))
        for name, value in flatten(options, "" if is_global else path.parent.name).items():
            if not found.get(name, "").startswith("["):  # it is a list if it is one in any file
                found[name] = str(value)
    return found
