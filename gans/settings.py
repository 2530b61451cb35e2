"""The options at the top of the config, and its groups, with their types and ranges."""

from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from gans.building import check
from gans.errors import InputError


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
    log_every: PositiveInt
    samples: SampleSettings
    data: dict[str, Any]
    model: dict[str, Any]
    objective: dict[str, Any]
    stabilize: dict[str, Any]
    trainer: dict[str, Any]


def validate(config: dict[str, Any]) -> Settings:
    """Check every value of a resolved config.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"{place}={problem['input']}: {problem['msg'][0].lower()}{problem['msg'][1:]}") from error
    for group in ("data", "model", "objective", "stabilize", "trainer"):
        check(config[group], group)
    return settings
