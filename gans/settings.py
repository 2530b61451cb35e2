"""The options at the top of the config, and its groups, with their types and ranges."""

from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from gans.building import check, validated


class SampleSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: PositiveInt
    epochs: list[PositiveInt]
    steps: list[PositiveInt]
    frames: PositiveInt


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seed: NonNegativeInt
    runs: str
    resume: str | None
    test: str | None
    log_every: PositiveInt
    evaluated_images: PositiveInt
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
    for group in ("data", "model", "objective", "stabilize", "metric", "trainer"):
        check(config[group], group)
    return settings
