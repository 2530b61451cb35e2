"""The commands' options, with their types and ranges. conf/ says what each means."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt


class Options(BaseModel):
    """Options whose values must have the right type as they are: "5" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SampleOptions(Options):
    count: PositiveInt
    epochs: list[PositiveInt]
    steps: list[PositiveInt]
    frames: PositiveInt


class CheckpointOptions(Options):
    every_steps: PositiveInt | None
    every_minutes: PositiveFloat | PositiveInt | None


class RunConfig(Options):
    """The options of a run, see conf/config.yaml. ``validate`` makes one, and nothing else does."""

    seed: NonNegativeInt
    runs: str
    resume: str | None
    test: str | None
    trust: list[str]
    log_every: PositiveInt
    evaluated_images: PositiveInt
    on_nan: Literal["stop", "rollback"]
    rollbacks: NonNegativeInt
    checkpoint: CheckpointOptions
    samples: SampleOptions
    data: dict[str, Any]
    model: dict[str, Any]
    objective: dict[str, Any]
    stabilize: dict[str, dict[str, Any]]
    metric: dict[str, dict[str, Any]]
    figure: dict[str, dict[str, Any]]
    trainer: dict[str, Any]


class GenerateConfig(Options):
    """The options of generate.py, see conf/generate.yaml."""

    run: str
    count: PositiveInt
    seed: NonNegativeInt
    classes: list[int] | None
    pngs: bool
    npz: bool
    output: str | None
    data_root: str | None
    trust: list[str]


class FeaturesConfig(Options):
    """The options of features.py, see conf/features.yaml."""

    seed: NonNegativeInt
    epochs: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: PositiveFloat
    output: str | None
    data: dict[str, Any]


ONE_OF = ("data", "model", "objective", "trainer")
"""Config groups of which one option is chosen."""
ANY_OF = ("stabilize", "metric", "figure")
"""Config groups of which any number of options is chosen, each under a key of its own."""

SUPPLIED = {
    "data": ("seed",),
    "model": ("objective", "stabilizers", "seed", "branch"),
    "trainer": ("callbacks", "logger", "plugins"),
    "figure": ("run", "folder"),
}
"""Arguments that the code gives to a group's class itself, so that they are no options."""
