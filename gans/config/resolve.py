"""Conversion of Hydra's config to plain values."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from gans.config.schema import ANY_OF, ONE_OF
from gans.config.shell import REPOSITORY
from gans.data.class_names import find_classes
from gans.errors import InputError, one_line

CHOICES_OF_DATA = REPOSITORY / "conf" / "data"

OmegaConf.register_new_resolver("classes_in", lambda root: find_classes(Path(root)), replace=True)


def resolve(config: DictConfig) -> dict[str, Any]:
    """The config as plain values, interpolations resolved; an InputError for missing, empty and unknown ones."""
    if "model" in (config.get("model") or {}):
        raise InputError("the file of model=... lacks its first line, # @package _global_: see conf/model/dcgan.yaml")
    try:
        options = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        assert isinstance(options, dict)
        for name, value in flatten(options).items():
            if value == "":
                raise InputError(f"{name}= is empty: give it a value, or leave it out")
            # a study's texts are its own, and its arms' options are checked as those of runs
            if not name.startswith("study.") and re.search("(^|')~[^/']*(/|'|$)", str(value)):
                raise InputError(f"{name}={value}: ~ is replaced by shells only: write the full path")
        return {str(name): option for name, option in options.items()}
    except MissingMandatoryValue as error:
        raise InputError(f"{error.full_key} is missing: add {error.full_key}=... to the command") from error
    except (InterpolationKeyError, UnsupportedInterpolationType, GrammarParseError) as error:
        raise InputError(_unresolved(config, error)) from error
    except InterpolationResolutionError as error:
        message = one_line(error).removeprefix("InputError raised while resolving interpolation: ")
        raise InputError(re.sub(r" full_key: \S+ object_type=\S+$", "", message)) from error
    except OmegaConfBaseException as error:
        raise InputError(one_line(error)) from error


def _unresolved(config: DictConfig, error: OmegaConfBaseException) -> str:
    """What to say of a ``${...}`` that stands for nothing."""
    where, problem = error.full_key, str(error).splitlines()[0]
    hint = ""
    if isinstance(error, InterpolationKeyError) and (quoted := re.search("'(.+)'", problem)):
        name = quoted[1]
        group, _, option = ("", "", "") if "study" in config else name.partition(".")  # a study has no such groups
        if group in ONE_OF and "_target_" not in config.get(group, {}):
            return f"{group} is not chosen: use {group}=..., with one of the files in conf/{group}/"
        if group == "data" and any(option in {*OmegaConf.load(path)} for path in CHOICES_OF_DATA.glob("*.yaml")):
            return f"{where} refers to {name}, which the chosen data lacks: use another model or other data"
        close = get_close_matches(name, [*flatten(OmegaConf.to_container(config))], n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        problem = f"there is no option '{name}'"
    mend = "correct the name, or for the characters themselves write \\${...}"
    return f"{where}: {problem}{hint}. ${{...}} stands for an option's value: {mend}"


def without_replaced(options: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Without the options of techniques, metrics and figures that an experiment brings and the command replaces.

    ``experiment=label_noise metric=none`` leaves the experiment's ``metric.synthetic_accuracy.epochs`` without its
    metric. What the command itself names stays, and is refused later.
    """
    typed: dict[str, set[Any]] = {}
    replaced = set()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        group, _, option = override.key_or_group.partition(".")
        if option:
            typed.setdefault(group, set()).add(option.partition(".")[0])
        elif group in ANY_OF:
            value = override.value()
            replaced.add(group)
            typed.setdefault(group, set()).update(
                [value] if isinstance(value, str) else value if isinstance(value, list | dict) else ()
            )
    return options | {
        group: {
            name: node
            for name, node in options[group].items()
            if not isinstance(node, Mapping) or "_target_" in node or name in typed[group]
        }
        for group in replaced
    }


def usual_options(choices: Mapping[str, str], options: Mapping[str, Any], search: Sequence[str] = ()) -> dict[str, Any]:
    """The options that the choices of data, model and trainer bring, without values of an experiment or the command.

    Args:
        options: of the command, whose ``data.root`` decides which classes there are.
        search: overrides that say where else choices are found; Hydra knows those of ``--config-dir``.
    """
    groups = [group for group in ("data", "model", "trainer") if group in choices]  # Python checks options afterwards
    overrides = [f"{group}={choices[group]}" for group in groups]
    usual = compose("config", [*overrides, *search])
    for group in groups:
        for name, value in options[group].items():
            if OmegaConf.is_missing(usual[group], name) or name == "root":
                usual[group][name] = value
    return resolve(usual)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Nested options as ``{"data.batch_size": 32, ...}``, with lists as text."""
    if not isinstance(config, dict):
        return {prefix: config if isinstance(config, bool | int | float | str) else str(config)}
    return {
        name: leaf
        for key, value in config.items()
        for name, leaf in flatten(value, f"{prefix}.{key}" if prefix else key).items()
    }
