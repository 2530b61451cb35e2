"""The commands' options with their types and ranges. The files in conf/ explain them."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from gans.files import Format


class Options(BaseModel):
    """Options without type conversion: "5" is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _each_once(values: list[Any]) -> list[Any]:
    if twice := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{twice[0]} is there twice: name each once")
    return values


Formats = Annotated[list[Format], Field(min_length=1), AfterValidator(_each_once)]
"""The formats of figures."""
Moments = Annotated[list[PositiveInt], AfterValidator(_each_once)]
"""Epochs or training steps."""


class SampleOptions(Options):
    count: Annotated[int, Field(gt=0, le=10_000)]
    epochs: Moments
    steps: Moments
    frames: Annotated[int, Field(gt=0, le=10_000)]


class CheckpointOptions(Options):
    every_steps: PositiveInt | None
    every_minutes: PositiveFloat | None


USE_ALL = {"_target_": "gans.sampling.base.Sampling"}
"""The sampling of runs that do not choose one."""


class RunConfig(Options):
    """The options of a run, see conf/config.yaml. ``validate`` makes it."""

    seed: NonNegativeInt
    runs: str
    resume: str | None
    test: str | None
    draw: str | None = None
    trust: list[str]
    log_every: PositiveInt
    evaluated_images: PositiveInt
    on_nan: Literal["stop", "rollback"]
    rollbacks: NonNegativeInt
    checkpoint: CheckpointOptions
    samples: SampleOptions
    formats: Formats = ["png"]
    data: dict[str, Any]
    model: dict[str, Any]
    objective: dict[str, Any]
    stabilize: dict[str, dict[str, Any]]
    sampling: dict[str, Any] = USE_ALL
    metric: dict[str, dict[str, Any]]
    figure: dict[str, dict[str, Any]]
    trainer: dict[str, Any]


class SampleChoice(Options):
    """Which samples a trained generator makes, see conf/generate.yaml."""

    count: Annotated[int, Field(gt=0, le=1_000_000)]
    classes: list[int | str] | None = None
    truncation: PositiveFloat | None = None
    walk: Annotated[int, Field(gt=0, le=100)] | None = None
    interpolation: Literal["spherical", "linear"] | None = None


class SeededChoice(SampleChoice):
    """Which samples, of one seed."""

    seed: NonNegativeInt


class GenerateConfig(SampleChoice):
    """The options of generate.py, see conf/generate.yaml."""

    run: str
    seed: Annotated[
        list[NonNegativeInt],
        BeforeValidator(lambda seed: seed if isinstance(seed, list) else [seed]),
        Field(min_length=1),
        AfterValidator(_each_once),
    ]
    pngs: bool
    npz: bool
    formats: Formats
    output: str | None
    data_root: str | None
    trust: list[str]
    sampling: dict[str, Any] = USE_ALL


class ExportConfig(Options):
    """The options of export.py, see conf/export.yaml."""

    run: str
    format: Literal["onnx", "torchscript", "safetensors"]
    output: str | None
    trust: list[str]


class ExploreConfig(Options):
    """The options of explore.py, see conf/explore.yaml."""

    run: str
    output: str | None
    trust: list[str]


class FeaturesConfig(Options):
    """The options of features.py, see conf/features.yaml."""

    seed: NonNegativeInt
    batch_size: Annotated[int, Field(ge=2)]  # for BatchNorm
    epochs: PositiveInt | None
    learning_rate: PositiveFloat
    weight_decay: PositiveFloat
    least_accuracy: Annotated[float, Field(ge=0, le=1)] | None
    output: str | None
    data: dict[str, Any]


class EvaluateConfig(Options):
    """The options of evaluate.py, see conf/evaluate.yaml."""

    images: str
    evaluated_images: PositiveInt
    output: str | None
    data: dict[str, Any]
    metric: dict[str, dict[str, Any]]


class StudyOptions(Options):
    """The options of study.py, see conf/study.yaml. ``gans.study.define`` has those of a study."""

    study: dict[str, Any] | None
    runs: Annotated[list[str], Field(min_length=1)]
    by: str | None
    baseline: str | int | float | bool | list[Any] | None
    figures: Annotated[list[str | dict[str, Any]], Field(min_length=1)] | None
    allow_differences: bool
    seeds: Annotated[int, Field(ge=2)] | None
    budget: PositiveInt | None
    run: bool
    output: str


COMMANDS: dict[str, type[Options]] = {
    "generate": GenerateConfig,
    "export": ExportConfig,
    "explore": ExploreConfig,
    "features": FeaturesConfig,
    "evaluate": EvaluateConfig,
    "study": StudyOptions,
}
"""The options of each command beside train.py."""

ONE_OF = ("data", "model", "objective", "sampling", "trainer")
"""Config groups with exactly one choice."""
ONE_NAME = (*ONE_OF, "optimizer", "experiment", "study")
"""Config groups for which one name is given."""
ANY_OF = ("stabilize", "metric", "figure")
"""Config groups with any number of choices, each under its own key."""

SUPPLIED = {
    "data": ("seed",),
    "model": ("objective", "stabilizers", "seed", "branch"),
    "trainer": ("callbacks", "logger", "plugins"),
    "figure": ("run", "folder"),
}
"""Arguments that the code passes to the objects of a group. They are not options."""
