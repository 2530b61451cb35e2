"""The options of the commands, with their types and ranges.

Nothing here takes long to import: the commands answer wrong values by it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from gans.checking import check_values, targets, validated
from gans.errors import InputError
from gans.signatures import read_constant, read_signature


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


ONE_OF = ("data", "model", "objective", "trainer")
ANY_OF = ("stabilize", "metric")
GROUPS = (*ONE_OF, *ANY_OF)


def settings_of(config: dict[str, Any]) -> Settings:
    """The options at the top of a resolved config, checked, and that its groups are chosen.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    settings = validated(Settings, config)
    for group in ONE_OF:
        if "_target_" not in config[group]:
            raise InputError(f"{group} is not chosen: use {group}=..., with one of the files in conf/{group}/")
    for group in ANY_OF:
        for name, node in config[group].items():
            if not isinstance(node, dict) or "_target_" not in node:
                raise InputError(
                    f"{group}.{name} is given options, but is not chosen or no {group} option: choose it, such as "
                    f"{group}=[{name}], or drop what an experiment says of it, ~{group}.{name}. Each option has a file "
                    f"in conf/{group}/"
                )
    return settings


def precheck(config: dict[str, Any]) -> None:
    """Check what can be checked of a resolved config without the classes that it names, whose import takes seconds.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    settings_of(config)
    for group in GROUPS:
        _precheck_values(config[group], group)
    _precheck_samples(config["model"].get("generator"), config["data"]["_target_"])
    _precheck_size(config["data"])
    require_budget(config["trainer"].get("max_epochs"), config["trainer"].get("max_steps"))


def require_kind(generator: str, makes_points: bool, data: str, holds_points: bool) -> None:
    """Refuse a generator of points for images, and the other way round.

    Args:
        generator, data: the names of their classes.

    Raises:
        InputError: naming both, and what to use.
    """
    kinds = ("images", "points")
    _require_same(generator, kinds[makes_points], data, kinds[holds_points])


def require_budget(max_epochs: int | None, max_steps: int | None) -> None:
    """Refuse a training without an end.

    Raises:
        InputError: saying what to give.
    """
    if max_epochs is None and max_steps is None:
        raise InputError("how long to train? give trainer.max_epochs or trainer.max_steps")


def recipe_of(config: dict[str, Any]) -> Recipe:
    """The options of a feature network, and the same check of them."""
    recipe = validated(Recipe, config)
    _precheck_values(recipe.data, "data")
    _precheck_size(recipe.data)
    return recipe


def _precheck_samples(generator: Any, source: str) -> None:
    """As far as the classes tell; otherwise ``gans.matching`` will see it by the samples themselves."""
    if not isinstance(generator, dict) or "_target_" not in generator:
        return
    target = generator["_target_"]
    names = target.rpartition(".")[2], source.rpartition(".")[2]
    makes_points, holds_points = read_constant(target, "makes_points"), read_constant(source, "holds_points")
    if None not in (makes_points, holds_points):
        require_kind(names[0], makes_points, names[1], holds_points)
    made, held = (read_constant(each, "image_channels", inherited=False) for each in (target, source))
    if None not in (made, held):
        _require_same(names[0], f"{made}-channel images", names[1], f"{held}-channel images")


def _require_same(generator: str, made: str, data: str, held: str) -> None:
    if made != held:
        raise InputError(f"{generator} makes {made}, but {data} has {held}: use another model=... or other data=...")


def _precheck_size(data: dict[str, Any]) -> None:
    """Options that say how many training samples there are at most; their classes may find that there are fewer."""
    batch_size = data.get("batch_size")
    for option in ("limit", "train_size"):
        most = data.get(option)
        if isinstance(batch_size, int) and isinstance(most, int) and batch_size > most:
            raise InputError(
                f"data.batch_size={batch_size} is more than data.{option}={most} training samples: use a smaller batch "
                "or more samples"
            )


def _precheck_values(node: Any, path: str) -> None:
    for place, target, values in targets(node, path):
        accepted, all_of_them = read_signature(target)
        known = values if all_of_them else {name: value for name, value in values.items() if name in accepted}
        check_values(known, accepted, target, place)
