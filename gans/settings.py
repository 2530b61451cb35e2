"""The options at the top of the config, and its groups, with their types and ranges."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from gans.building import check, validated
from gans.errors import InputError


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


def validate(config: dict[str, Any]) -> Settings:
    """Check every value of a resolved config.

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
    for group in ("data", "model", "objective", "stabilize", "metric", "trainer"):
        check(config[group], group)
    return settings
