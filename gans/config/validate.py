"""Every value of a config is checked against the class that it is for, before anything is built."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Any, TypeVar, get_type_hints

import lightning as L
from hydra.utils import get_object
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from torch import nn
from torch.optim import Optimizer

from gans.config.schema import ANY_OF, ONE_OF, SUPPLIED, FeaturesConfig, GenerateConfig, RunConfig
from gans.data.source import Source
from gans.errors import InputError, one_line
from gans.gan import GAN
from gans.metrics.base import Metric
from gans.objectives import Objective
from gans.stabilize import Stabilizer

Model = TypeVar("Model", bound=BaseModel)

KINDS: dict[str, type] = {
    "data": Source,
    "model": GAN,
    "objective": Objective,
    "stabilize": Stabilizer,
    "metric": Metric,
    "trainer": L.Trainer,
}
"""What a group's options must be. Figures are functions."""

PACKAGES = ("gans", "torch.nn", "torch.optim")
"""Whose classes a config that comes with a file may name."""
BUILDABLE = (nn.Module, Optimizer, *KINDS.values())
"""The kinds of classes that such a config may name: building them runs no other code of a file's choice."""

Trusted = Sequence[str] | None
"""Further packages whose classes a config from a file may name; None for a config that was typed, which may name any."""


def validate(config: dict[str, Any], trusted: Trusted = None) -> RunConfig:
    """Check a run's resolved config: the options, that each group is chosen, and every value of each choice.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    checked = check_options(RunConfig, config)
    for group in ONE_OF:
        if "_target_" not in config[group]:
            raise InputError(f"{group} is not chosen: use {group}=..., with one of the files in conf/{group}/")
        validate_choice(config[group], group, group, trusted)
    for group in ANY_OF:
        for name, node in config[group].items():
            if "_target_" not in node:
                raise InputError(
                    f"{group}.{name} is given options, but is not chosen or no {group} option: choose it, such as "
                    f"{group}=[{name}], or drop what an experiment says of it, ~{group}.{name}. Each option has a file "
                    f"in conf/{group}/"
                )
            validate_choice(node, group, f"{group}.{name}", trusted)
    return checked


def validate_features(config: dict[str, Any]) -> FeaturesConfig:
    """The same of features.py's config."""
    checked = check_options(FeaturesConfig, config)
    validate_choice(checked.data, "data", "data")
    return checked


def validate_generate(config: dict[str, Any]) -> GenerateConfig:
    """The same of generate.py's config."""
    return check_options(GenerateConfig, config)


def validate_choice(node: Mapping[str, Any], group: str, path: str, trusted: Trusted = None) -> None:
    """Check a choice of a group: its class, and every value inside it.

    Raises:
        InputError: naming the value's path, for an unknown key, a wrong type or a value out of range.
    """
    kind = KINDS.get(group)
    target = find_target(node["_target_"], path, trusted)
    if kind and not (inspect.isclass(target) and issubclass(target, kind)):
        raise InputError(f"{path}._target_={node['_target_']}: this is no {kind.__name__}, which {group}=... takes")
    validate_values(node, path, SUPPLIED.get(group, ()), trusted)


def validate_values(node: Any, path: str, supplied: Sequence[str] = (), trusted: Trusted = None) -> None:
    """Check the values of a node that names a ``_target_``, and of all such nodes inside it."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            validate_values(item, f"{path}[{index}]", trusted=trusted)
    if not isinstance(node, Mapping):
        return
    target = find_target(node["_target_"], path, trusted) if "_target_" in node else None
    accepted = parameters_of(target) if target else {}
    if node.get("_partial_"):
        supplied = (*supplied, *list(accepted)[:1])  # an optimizer is given its network's parameters
    options = {name: hint for name, hint in accepted.items() if name not in supplied}
    for name, value in node.items():
        validate_values(value, f"{path}.{name}", trusted=trusted)
        if target is None or name in ("_target_", "_partial_"):
            continue
        if name not in options:
            raise InputError(
                f"{path}.{name} is not an option of {node['_target_']}: choose from {', '.join(options) or 'none'}"
            )
        if not (isinstance(value, Mapping) and "_target_" in value):  # else the object is what the class must judge
            check_value(options[name], value, f"{path}.{name}")


def find_target(target: Any, path: str, trusted: Trusted) -> Callable[..., Any]:
    """The class, or for a figure the function, that a config names.

    Raises:
        InputError: where there is none, and where a config from a file names one that it may not.
    """
    if not isinstance(target, str):
        raise InputError(f"{path}._target_={target!r}: give the full name of a class")
    if trusted is not None:
        require_trusted(target, path, trusted)
    try:
        with redirect_stdout(StringIO()):  # Hydra prints why an import failed; the error says it too
            found = get_object(target)
    except Exception as error:
        raise InputError(f"{path}._target_={target}: {one_line(error)}") from error
    if not callable(found) or (trusted is not None and not (is_within(target, trusted) or is_buildable(found))):
        raise InputError(f"{path}._target_={target}: this is no network, optimizer, data, ... that can be built here")
    return found


def require_trusted(target: str, path: str, trusted: Sequence[str]) -> None:
    """Refuse a class of another package than this one, torch, and those that are trusted."""
    if not is_within(target, (*PACKAGES, *trusted)):
        package = target.partition(".")[0]
        raise InputError(
            f"{path}._target_={target} comes with a file, and building it would run code of the package "
            f"'{package}': if you trust that, add trust=[{package}]"
        )


def is_within(name: str, packages: Sequence[str]) -> bool:
    """Whether a full name is of one of the packages."""
    return any(name.startswith(f"{package}.") for package in packages)


def is_buildable(found: Any) -> bool:
    """Whether an object is a class of this package or torch that building a config may need, or one of the figures."""
    home = f"{getattr(found, '__module__', '')}."
    if inspect.isclass(found):
        return issubclass(found, BUILDABLE) and is_within(home, PACKAGES)
    return inspect.isfunction(found) and home.startswith("gans.figures.")


@cache
def parameters_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The names and annotations that a class accepts; those of its base classes too, where it passes options on."""
    levels = [vars(level).get("__init__") for level in target.__mro__[:-1]] if inspect.isclass(target) else [target]
    accepted: dict[str, Any] = {}
    for level in filter(None, levels):
        parameters = inspect.signature(level).parameters.values()
        hints = get_type_hints(level, include_extras=True)
        accepted |= {
            parameter.name: hints.get(parameter.name, Any)
            for parameter in parameters
            if parameter.name not in accepted and parameter.name != "self" and parameter.kind != parameter.VAR_KEYWORD
        }
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
    return accepted


def check_options(model: type[Model], options: dict[str, Any]) -> Model:
    """Options as a pydantic model.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    try:
        return model.model_validate(options)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        if problem["type"] == "missing":
            raise InputError(f"{place} is missing from the config: it was written by another version") from error
        raise InputError(f"{place}={problem['input']}: {problem['msg'][0].lower()}{problem['msg'][1:]}") from error


def check_value(hint: Any, value: Any, path: str) -> None:
    """Check a config's value against an annotation.

    Raises:
        InputError: naming the value's path, for a wrong type or a value out of range.
    """
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a type that carries its own config
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return
    try:
        try:
            adapter.validate_python(value, strict=True)  # the value is used as it is: "5" is no number
        except ValidationError as error:
            if any(each["type"] != "tuple_type" for each in error.errors()):  # a config has lists only
                raise
            adapter.validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
        messages = dict.fromkeys(each["msg"][0].lower() + each["msg"][1:] for each in error.errors())
        shown = problem["input"] if isinstance(problem["input"], str) else repr(problem["input"])
        raise InputError(f"{path}{place}={shown}: {', or '.join(messages)}") from error
