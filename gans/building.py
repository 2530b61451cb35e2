"""From a composed config to objects: every value is checked before anything is built."""

import inspect
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Any, TypeVar, get_type_hints

import lightning as L
import torch
from hydra.utils import get_object, instantiate
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from torch import nn
from torch.optim import Optimizer

from gans.data.source import Source
from gans.errors import InputError
from gans.gan import GAN
from gans.metrics.base import Metric
from gans.objectives import Objective
from gans.options import one_line
from gans.randomness import derive_seed
from gans.stabilize import Stabilizers

Model = TypeVar("Model", bound=BaseModel)

TRUSTED = ("gans.", "torch.nn.", "torch.optim.")
BUILDABLE = (nn.Module, Optimizer, L.LightningDataModule, L.Trainer, Objective, Metric)
"""A config may name, as ``_target_``, classes of these kinds that are defined in trusted packages: building from a
config that came with a file runs no other code."""


def check(node: Any, path: str) -> None:
    """Check each value of a config node, and of those inside it, against the signature of its ``_target_``.

    Raises:
        InputError: naming the value's path, for an unknown key, a wrong type or a value out of range, and for a target
            that is not this package's or torch's.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            check(item, f"{path}[{index}]")
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        check(value, f"{path}.{key}")
    if "_target_" not in node:
        return
    target = target_class(str(node["_target_"]))
    accepted = _parameters(target)
    for key, value in node.items():
        if key in ("_target_", "_partial_") or (isinstance(value, Mapping) and "_target_" in value):
            continue
        if key not in accepted:
            raise InputError(f"{path}.{key} is not an option of {node['_target_']}: choose from {', '.join(accepted)}")
        _check_value(accepted[key], value, f"{path}.{key}")


def target_class(target: str) -> type:
    """The class that a config names.

    Raises:
        InputError: where it names anything else than a class of this package or torch's that a config may build.
    """
    found = None
    if target.startswith(TRUSTED):
        with redirect_stdout(StringIO()):  # Hydra prints why an import failed; the error says it too
            try:
                found = get_object(target)
            except Exception as error:
                raise InputError(f"_target_={target}: {one_line(error)}") from error
    if not inspect.isclass(found) or not issubclass(found, BUILDABLE) or not found.__module__.startswith(TRUSTED):
        raise InputError(f"_target_={target}: a config may only name networks, data, ... of {', '.join(TRUSTED)}")
    return found


def validated(model: type[Model], options: dict[str, Any]) -> Model:
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


def build(node: dict[str, Any], path: str, **further: Any) -> Any:
    """The object that a checked node describes, with further arguments that no config can hold."""
    try:
        return instantiate(node, _convert_="all", _partial_=True)(**further)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise InputError(f"{path}: {one_line(error)}") from error


def build_data(config: dict[str, Any]) -> Source[Any]:
    """The data module, its data read and split."""
    data = build(config["data"], "data", seed=config["seed"])
    data.prepare_data()
    data.setup()
    return data


def build_gan(config: dict[str, Any], branch: int = 0) -> GAN:
    """The GAN with its initial weights, a function of the config's seed. See GAN for ``branch``."""
    torch.manual_seed(derive_seed(config["seed"], "weights"))
    stabilizers = {name: build(node, f"stabilize.{name}") for name, node in config["stabilize"].items()}
    gan = build(
        config["model"],
        "model",
        objective=build(config["objective"], "objective"),
        stabilizers=Stabilizers(stabilizers),
        seed=config["seed"],
        branch=branch,
    )
    try:
        gan.configure_optimizers()
    except (TypeError, ValueError) as error:
        raise InputError(f"model's optimizers: {one_line(error)}") from error
    return gan


def build_metrics(config: dict[str, Any]) -> dict[str, Metric]:
    """The metrics that the config names, by name."""
    return {name: build(node, f"metric.{name}") for name, node in config["metric"].items()}


@cache
def _parameters(target: type) -> dict[str, Any]:
    """The names and annotations that a class accepts; those of its base classes too, where it passes options on."""
    accepted: dict[str, Any] = {}
    for level in filter(None, (vars(level).get("__init__") for level in target.__mro__[:-1])):
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


def _check_value(hint: Any, value: Any, path: str) -> None:
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a type that carries its own config
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return
    try:
        try:
            adapter.validate_python(value, strict=True)  # what is checked is what is used: "5" is no number
        except ValidationError as error:
            if any(each["type"] != "tuple_type" for each in error.errors()):  # a config has lists only
                raise
            adapter.validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
        messages = dict.fromkeys(each["msg"][0].lower() + each["msg"][1:] for each in error.errors())
        raise InputError(f"{path}{place}={_shown(problem['input'])}: {', or '.join(messages)}") from error


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
