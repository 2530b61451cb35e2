"""What the tests share: composed configs, and small data and networks."""

import os
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from gans.config.resolve import resolve
from gans.config.schema import RunConfig
from gans.config.validate import validate

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
DATA_ROOT = os.environ.get("GANS_DATA_ROOT")

needs_mnist = pytest.mark.mnist
slow = pytest.mark.slow


def mostly_slow(fast: int, cases: Sequence[Any]) -> list[Any]:
    """Cases that take the same way through the code: CI runs all of them, README's command the first ones."""
    return [*cases[:fast], *(pytest.param(*as_tuple(case), marks=slow) for case in cases[fast:])]


def as_tuple(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)


def names(group: str) -> list[str]:
    """Every option of a config group, so that a new file is tested by being there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@cache
def option(group: str, name: str) -> dict[str, Any]:
    """What a file of a group says that does not refer to other files."""
    node = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def composed(*overrides: str, config_name: str = "config") -> dict[str, Any]:
    """The resolved config of a command line. The folder of its run is set last: all else is remembered."""
    folder = [text for text in overrides if text.startswith("runs=/")]
    config = deepcopy(_composed(config_name, tuple(text for text in overrides if text not in folder)))
    return config | ({"runs": folder[-1].removeprefix("runs=")} if folder else {})


@cache
def _composed(config_name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """As Hydra does it, choices first. They take most of the time, so they are remembered for other values."""
    choices = tuple(text for text in overrides if (CONF / text.partition("=")[0].lstrip("+~")).is_dir())
    values = OverridesParser.create().parse_overrides([text for text in overrides if text not in choices])
    config = deepcopy(_chosen(config_name, choices))
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    return resolve(config)


@cache
def _chosen(config_name: str, choices: tuple[str, ...]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config_name, overrides=list(choices))


def run_config(*overrides: str) -> RunConfig:
    """The validated config of a command line."""
    return validate(composed(*overrides))


def data_for(choice: str, train: int, held_out: int) -> tuple[str, ...]:
    """Overrides for model=... or experiment=...: data of its own, or where these are downloaded the like that is built
    in; so many samples for training, and for validation and test each, where there is a choice."""
    chosen = like_without_download(choice)
    sizes = {"limit": train, "train_size": train, "val_size": held_out, "test_size": held_out}
    options = composed(choice, *chosen)["data"].keys() & sizes.keys()
    return (*chosen, *sorted(f"data.{option}={sizes[option]}" for option in options))


@cache
def like_without_download(choice: str) -> tuple[str, ...]:
    """No override where the data have no root; else the data without one whose class is the closest relative:
    mnist -> digits, stacked_mnist -> stacked_digits."""
    own = composed(choice)["data"]
    if "root" not in own:
        return ()
    files = {name: option("data", name) for name in names("data")}
    kinds = {name: get_class(node["_target_"]) for name, node in files.items() if "root" not in node}
    ancestors = get_class(own["_target_"]).__mro__
    return next((f"data={name}",) for base in ancestors for name, kind in kinds.items() if issubclass(kind, base))


def narrow(choice: str) -> tuple[str, ...]:
    """Overrides that leave networks few channels, where these are an option."""
    networks = {name: composed(choice)["model"][name] for name in ("generator", "discriminator")}
    widths = {name: [min(width, 8) for width in node["widths"]] for name, node in networks.items() if "widths" in node}
    width = {name: min(node["width"], 8) for name, node in networks.items() if "width" in node}
    return (
        *(f"model.{name}.widths={each}" for name, each in widths.items()),
        *(f"model.{name}.width={each}" for name, each in width.items()),
    )
