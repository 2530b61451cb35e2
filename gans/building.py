"""From a composed config to objects: every value is checked before anything is built."""

import inspect
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Any, get_type_hints

import lightning as L
import torch
from hydra.utils import get_object, instantiate
from torch import nn
from torch.optim import Optimizer

from gans.checking import check_values, targets
from gans.data.source import Source
from gans.errors import InputError
from gans.gan import GAN
from gans.metrics.base import Metric
from gans.objectives import Objective
from gans.options import one_line
from gans.randomness import derive_seed
from gans.settings import GROUPS, Settings, settings_of
from gans.stabilize import Stabilizers

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
    for place, target, values in targets(node, path):
        check_values(values, parameters_of(target_class(target)), target, place)


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


def validate(config: dict[str, Any]) -> Settings:
    """Check every value of a resolved config.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    settings = settings_of(config)
    for group in GROUPS:
        check(config[group], group)
    return settings


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
def parameters_of(target: type) -> dict[str, Any]:
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
