"""Validation of a config against the annotations of its classes, before anything is built."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, get_type_hints

import lightning as L
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from torch import nn
from torch.optim import Optimizer

from gans.config.explain import suggestion
from gans.config.schema import ANY_OF, ONE_OF, SUPPLIED, RunConfig
from gans.data.source import Source
from gans.errors import InputError, one_line
from gans.files import code_sha256
from gans.gan import GAN
from gans.metrics.base import Metric
from gans.objectives import Objective
from gans.sampling import Sampling
from gans.stabilize import Stabilizer

Model = TypeVar("Model", bound=BaseModel)

KINDS: dict[str, type] = {
    "data": Source,
    "model": GAN,
    "objective": Objective,
    "stabilize": Stabilizer,
    "sampling": Sampling,
    "metric": Metric,
    "trainer": L.Trainer,
}
"""The base class of each group's choices. Figures are functions."""

PACKAGES = ("gans", "torch.nn", "torch.optim")
"""Packages that a config in a file may name."""
BUILDABLE = (nn.Module, Optimizer, *KINDS.values())
"""Base classes of what such a config may name in these packages. Building these objects runs no arbitrary code."""

Trusted = Sequence[str] | None
"""Further packages that a config in a file may name; None for a config from the command line, which may name any."""


def validate(config: dict[str, Any], trusted: Trusted = None) -> RunConfig:
    """Check a run's resolved config: its options, that every group has a choice, and the values of each choice.

    Raises:
        InputError: with the first wrong value and the reason.
    """
    if "experiment" in config:
        raise InputError("an experiment's file has # @package _global_ as its first line, as those in conf/experiment/")
    for group in ONE_OF:
        node = config.get(group, {} if trusted is None else None)
        if isinstance(node, Mapping) and "_target_" not in node:
            raise InputError(not_chosen(group, group))
    checked = check_options(RunConfig, config)
    if trusted is not None:
        refuse_strangers(config, "config", trusted)
    for group in ONE_OF:
        validate_choice(getattr(checked, group), group, group, trusted)
    for group in ANY_OF:
        for name, node in config[group].items():
            validate_choice(node, group, f"{group}.{name}", trusted)
    return checked


def validate_choice(node: Mapping[str, Any], group: str, path: str, trusted: Trusted = None) -> None:
    """Check a choice of a group: its class, and every value inside it. ``path`` is for error messages."""
    if "_target_" not in node:
        raise InputError(not_chosen(group, path))
    kind = KINDS.get(group)
    target = find_target(node["_target_"], path, trusted)
    if kind and not (inspect.isclass(target) and issubclass(target, kind)):
        raise InputError(f"{path}._target_={node['_target_']}: {group}=... needs a {kind.__name__}")
    validate_values(node, path, SUPPLIED.get(group, ()), trusted)
    if group == "figure":
        require_figure(target, node, path)


def not_chosen(group: str, path: str) -> str:
    """What to do about a node without a class."""
    name = path.removeprefix(f"{group}.")
    if name == group:
        return f"{group} is not chosen: use {group}=..., with one of the files in conf/{group}/"
    return (
        f"{path} has options, but is not chosen or does not exist: choose it with {group}=[{name}], or remove the "
        f"options of an experiment with ~{path}. Each choice has a file in conf/{group}/, which names its class under "
        "_target_"
    )


def require_figure(target: Callable[..., Any], node: Mapping[str, Any], path: str) -> None:
    """Refuse what can't draw a figure, which would be found only after training."""
    arguments = ", ".join(SUPPLIED["figure"])
    if inspect.isclass(target):
        raise InputError(f"{path}._target_={node['_target_']}: figure=... needs a function of ({arguments}), no class")
    options = {name: value for name, value in node.items() if name in parameters_of(target)}
    try:
        inspect.signature(target).bind(*SUPPLIED["figure"], **options)
    except TypeError as error:
        raise InputError(
            f"{path}: {node['_target_']} can't be called with ({arguments}) and its options: {error}"
        ) from error


def validate_values(node: Any, path: str, supplied: Sequence[str] = (), trusted: Trusted = None) -> None:
    """Check the arguments of a node's ``_target_``, and of all nodes inside it.

    Args:
        supplied: arguments that the code passes, which are not options.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            validate_values(item, f"{path}[{index}]", trusted=trusted)
    if not isinstance(node, Mapping):
        return
    target = find_target(node["_target_"], path, trusted) if "_target_" in node else None
    accepted = parameters_of(target) if target else {}
    if node.get("_partial_"):
        supplied = (*supplied, *list(accepted)[:1])  # an optimizer's first argument, the parameters
    options = {name: hint for name, hint in accepted.items() if name not in supplied}
    for name, value in node.items():
        validate_values(value, f"{path}.{name}", trusted=trusted)
        if target is None or name in ("_target_", "_partial_"):
            continue
        if name not in options:
            raise InputError(
                f"{path}.{name} is not an option of {node['_target_']}: choose from {', '.join(options) or 'none'}; "
                f"where another choice brings it, ~{path}.{name} leaves it out"
            )
        if not (isinstance(value, Mapping) and "_target_" in value):  # an object is checked when it is built
            check_value(options[name], value, f"{path}.{name}")


def foreign_packages(config: Any) -> list[str]:
    """The packages, beside this one and torch, whose classes a config names: what ``trust`` has to list."""
    return sorted({target.partition(".")[0] for target in foreign_targets(config)})


def foreign_targets(config: Any) -> set[str]:
    """The full names of the classes and functions of other packages that a config names."""
    return {target for target in targets_of(config) if not is_within(target, PACKAGES)}


def targets_of(config: Any) -> set[str]:
    """The full names of the classes and functions that a config names."""
    nodes = list(config.values()) if isinstance(config, Mapping) else config if isinstance(config, list) else []
    own = config.get("_target_") if isinstance(config, Mapping) else None
    return {target for node in nodes for target in targets_of(node)} | ({own} if isinstance(own, str) else set())


def find_target(target: Any, path: str, trusted: Trusted) -> Callable[..., Any]:
    """The class, or a figure's function, that a config names; an InputError if it does not exist or is not trusted."""
    if not isinstance(target, str):
        raise InputError(f"{path}._target_={target!r}: give the full name of a class")
    if trusted is not None:
        refuse_strangers({"_target_": target}, path, trusted)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)
        code_sha256(module)  # of the code as it is now: it may be edited while it runs
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            where = f"{path}._target_={target}"
            mend = "install it, or put it into the same folder"
            raise InputError(f"{where}: {error}, which '{module}' imports: {mend}") from error
        raise InputError(
            f"{path}._target_={target}: {error}. A class of your own is found in the folder of --config-dir"
        ) from error
    except Exception as error:
        raise InputError(f"{path}._target_={target}: {one_line(error)}") from error
    if not callable(found) or (trusted is not None and not (is_within(target, trusted) or is_buildable(found))):
        raise InputError(
            f"{path}._target_={target} is not a network, optimizer, data module, ... of this package or torch"
        )
    return found


def refuse_strangers(config: Mapping[str, Any], path: str, trusted: Sequence[str]) -> None:
    """Refuse a config from a file that names code of packages which nobody trusts; all of them are told at once."""
    strangers = sorted(target for target in foreign_targets(config) if not is_within(target, trusted))
    if strangers:
        packages = ",".join(sorted({*trusted, *(target.partition(".")[0] for target in strangers)}))
        raise InputError(
            f"{path}: building {', '.join(strangers)}, as a file asks, would run code that is not of this package: if "
            f"you trust it, add trust=[{packages}], and --config-dir <folder> if it lies in a folder of your own"
        )


def is_within(name: str, packages: Sequence[str]) -> bool:
    """Whether a full name lies in one of the packages."""
    return any(name.startswith(f"{package}.") for package in packages)


def is_buildable(found: Any) -> bool:
    """Whether an object is a class that a config in a file may name, or a figure's function."""
    home = f"{getattr(found, '__module__', '')}."
    if inspect.isclass(found):
        return issubclass(found, BUILDABLE) and is_within(home, PACKAGES)
    return inspect.isfunction(found) and home.startswith("gans.figures.")


@cache
def parameters_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a class and their annotations, including base classes if it takes ``**options``."""
    levels = [vars(level).get("__init__") for level in target.__mro__[:-1]] if inspect.isclass(target) else [target]
    accepted: dict[str, Any] = {}
    for level in filter(None, levels):
        parameters = inspect.signature(level).parameters.values()
        try:
            hints = get_type_hints(level, include_extras=True)
        except NameError as error:
            name = f"{target.__module__}.{target.__qualname__}"
            raise InputError(f"{name}: {error}: import what its annotations name, outside of TYPE_CHECKING") from error
        accepted |= {
            parameter.name: hints.get(parameter.name, Any)
            for parameter in parameters
            if parameter.name not in accepted and parameter.name != "self" and parameter.kind != parameter.VAR_KEYWORD
        }
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
    return accepted


def check_options(model: type[Model], options: dict[str, Any], prefix: str = "") -> Model:
    """Options as a pydantic model; an InputError with the first wrong value and the reason. ``prefix`` is of names."""
    try:
        return model.model_validate(options)
    except ValidationError as error:
        problem = error.errors()[0]
        parts = [str(part) for part in problem["loc"] if part not in ("int", "str")]  # members of int | str
        place = prefix + ".".join(parts)
        if problem["type"] == "missing":
            raise InputError(
                f"{place} is missing" + (": another version has written this config" if model is RunConfig else "")
            ) from error
        if "[key]" in problem["loc"]:
            raise InputError(
                f"{problem['loc'][0]}: {problem['input']!r} is not a name: put names such as no, yes and 0 in quotes"
            ) from error
        if problem["type"] == "extra_forbidden":
            near = suggestion(place, [prefix + name for name in model.model_fields]) if len(parts) == 1 else ""
            raise InputError(f"unknown option '{place}'{near}") from error
        is_plain = isinstance(problem["input"], str | int | float) and not re.search(r"[][{},]", str(problem["input"]))
        instead = f": write {place}=[{problem['input']}]" if problem["type"] == "list_type" and is_plain else ""
        raise InputError(f"{place}={shown(problem['input'])}: {reason_in(problem['msg'])}{instead}") from error


def check_value(hint: Any, value: Any, path: str) -> None:
    """Check a value against an annotation; an InputError for a wrong type or a value out of range."""
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))
    except PydanticUserError:  # a type that carries its own config
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return
    try:
        try:
            adapter.validate_python(value, strict=True)  # without type conversion: "5" is not a number
        except ValidationError as error:
            if any(each["type"] != "tuple_type" for each in error.errors()):  # a config can't hold tuples
                raise
            adapter.validate_json(json.dumps(value), strict=True)  # where a list may be a tuple
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
        messages = dict.fromkeys(reason_in(each["msg"]) for each in error.errors())
        raise InputError(f"{path}{place}={shown(problem['input'])}: {', or '.join(messages)}") from error


def shown(value: Any) -> str:
    """A value in a message; text that looks like a number is in quotes."""
    is_plain = isinstance(value, str) and not re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|true|false|null", value)
    return value if is_plain else repr(value)


def reason_in(message: str) -> str:
    """Pydantic's message for the middle of a sentence: our own ones without its prefix."""
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]
