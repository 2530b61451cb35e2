"""The options of the commands, with their types and ranges.

Nothing here takes long to import: the commands answer wrong values by it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from gans.checking import check_value, targets, validated
from gans.errors import InputError
from gans.signatures import annotations


class SampleSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    count: PositiveInt
    epochs: list[PositiveInt]
    steps: list[PositiveInt]
    frames: PositiveInt


class CheckpointSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    every_steps: PositiveInt | None
    every_minutes: PositiveFloat | PositiveInt | None


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    seed: NonNegativeInt
    runs: str
    resume: str | None
    test: str | None
    log_every: PositiveInt
    evaluated_images: PositiveInt
    on_nan: Literal["stop", "rollback"]
    rollbacks: NonNegativeInt
    checkpoint: CheckpointSettings
    samples: SampleSettings
    data: dict[str, Any]
    model: dict[str, Any]
    objective: dict[str, Any]
    stabilize: dict[str, Any]
    metric: dict[str, Any]
    trainer: dict[str, Any]


class Request(BaseModel):
    """What to generate; see conf/generate.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run: str
    count: PositiveInt
    seed: NonNegativeInt
    classes: list[int] | None
    pngs: bool
    npz: bool
    output: str | None
    data_root: str | None


class Recipe(BaseModel):
    """How to train it; see conf/features.yaml."""

    model_config = ConfigDict(extra="forbid")

    seed: NonNegativeInt
    epochs: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: PositiveFloat
    output: str | None
    data: dict[str, Any]


GROUPS = ("data", "model", "objective", "stabilize", "metric", "trainer")


def check_settings(config: dict[str, Any]) -> Settings:
    """Check the values of a resolved config but for those that only classes can judge, which take long to import.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    settings = validated(Settings, config)
    for group in ("stabilize", "metric"):
        for name, node in config[group].items():
            if not isinstance(node, dict) or "_target_" not in node:
                raise InputError(
                    f"{group}.{name} is given options, but is not chosen or no {group} option: choose it, such as "
                    f"{group}=[{name}], or drop what an experiment says of it, ~{group}.{name}. Each option has a file "
                    f"in conf/{group}/"
                )
    for group in GROUPS:
        if group not in ("stabilize", "metric") and "_target_" not in config[group]:
            raise InputError(f"{group} is not chosen: use {group}=..., with one of the files in conf/{group}/")
        _check_values(config[group], group)
    return settings


def check_recipe(config: dict[str, Any]) -> Recipe:
    """The same of the config of a feature network."""
    recipe = validated(Recipe, config)
    _check_values(recipe.data, "data")
    return recipe


def _check_values(node: Any, path: str) -> None:
    for place, target, values in targets(node, path):
        known = annotations(target)
        for name, value in values.items():
            if name in known:
                check_value(known[name], value, f"{place}.{name}")
