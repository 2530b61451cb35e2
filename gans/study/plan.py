"""The runs that a study asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gans.config.command_line import checked_options
from gans.config.explain import message_of
from gans.config.resolve import resolve, without_replaced
from gans.config.validate import find_target, validate
from gans.errors import InputError
from gans.metrics.name import of_class
from gans.run.identity import result_settings, settings_text
from gans.study.define import StudyDefinition
from gans.study.figures_of_merit import values_behind


@dataclass(frozen=True)
class PlannedRun:
    arm: str
    seed: int
    overrides: tuple[str, ...]
    """Of train.py, without its script and the folder of runs."""
    settings: str
    """The settings that decide its results, as text: runs with the same ones are the same."""


class Planner:
    """Composes the runs of a study; every arm and every run once, because that takes long.

    Raises:
        InputError: for an arm whose options are wrong, arms that are the same run, or arms that split the data
            differently.
    """

    def __init__(self, definition: StudyDefinition) -> None:
        self.overrides = {arm: (*definition.common, *own) for arm, own in definition.all_arms.items()}
        self.composed = {arm: composed(arm, overrides) for arm, overrides in self.overrides.items()}
        self.plans: dict[tuple[str, int], PlannedRun] = {}
        first: dict[str, str] = {}
        for arm in self.composed:
            try:
                options = checked_options(self._config(arm, 0), self.overrides[arm])
                validate(options)
            except InputError as error:
                raise InputError(f"arm '{arm}': {error}") from error
            same = first.setdefault(settings_text(options), arm)
            if same != arm:
                raise InputError(f"the arms '{same}' and '{arm}' are the same run: remove one")
            require_moments(definition, arm, options)
            require_metrics(definition, arm, options)
        self.warnings = split_differences({arm: self.options(arm, 0) for arm in self.composed})
        if self.warnings and not definition.other_data:
            raise InputError(f"{self.warnings[0]}. If that is meant, add other_data: true to the study")

    def plan(self, arm: str, seed: int) -> PlannedRun:
        if (arm, seed) not in self.plans:
            overrides = (*self.overrides[arm], f"seed={seed}")
            self.plans[arm, seed] = PlannedRun(arm, seed, overrides, settings_text(self.options(arm, seed)))
        return self.plans[arm, seed]

    @property
    def accelerators(self) -> set[str]:
        """Lightning's names of the arms' devices."""
        return {config.trainer.accelerator for config in self.composed.values()}

    def options(self, arm: str, seed: int) -> dict[str, Any]:
        """The resolved options of a run."""
        return without_replaced(resolve(self._config(arm, seed)), self.overrides[arm])

    def _config(self, arm: str, seed: int) -> DictConfig:
        config = self.composed[arm].copy()
        config["seed"] = seed
        return config


def composed(arm: str, overrides: Sequence[str]) -> DictConfig:
    """An arm's options, before they are resolved."""
    try:
        return compose("config", list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        is_torn = any("=" not in text and not text.startswith("~") for text in overrides)
        hint = '. An override with a list takes quotes: "stabilize=[ema,r1]"' if is_torn else ""
        raise InputError(f"arm '{arm}': {message_of(error, overrides, 'train')}{hint}") from error


def require_moments(definition: StudyDefinition, arm: str, options: Mapping[str, Any]) -> None:
    """Refuse, before anything is trained, a figure at a training step that comes after the arm's last one."""
    last = options["trainer"].get("max_steps")
    for merit in definition.merits:
        step = merit.name.partition("@")[2]
        if step and last is not None and int(step) > last:
            raise InputError(f"figures: {merit.name}: arm '{arm}' trains for {last:,} steps: choose an earlier step")


def require_metrics(definition: StudyDefinition, arm: str, options: Mapping[str, Any]) -> None:
    """Refuse, before anything is trained, a figure of a test that none of the arm's metrics computes."""
    metrics = {name: find_target(node["_target_"], f"metric.{name}", None) for name, node in options["metric"].items()}
    values = {name: getattr(target, "values", ()) for name, target in metrics.items()}
    if not all(values.values()):  # a metric of the user's own does not say what it computes
        return
    known = sorted({value for names in values.values() for value in names})
    validated = options["metric"].get("fid", {}).get("during_training")
    for merit in definition.merits:
        if merit.name.startswith("best.") and not validated:
            raise InputError(
                f"figures: {merit.name}: the best checkpoint has the lowest FID of validations, which no metric of arm "
                f"'{arm}' computes: add fid to its metrics"
            )
        for name in values_behind(merit.name):
            found = of_class(name)
            of_known_class = found is not None and found[0] in ("class_share", *known)
            of_player = name.startswith(("discriminator_", "generator_"))  # a loss or accuracy
            if not (name in known or of_known_class or of_player):
                raise InputError(
                    f"figures: no metric of arm '{arm}' computes {name}, for {merit.name}: they compute "
                    f"{', '.join(known) or 'nothing'}"
                )
            metric = next((metric for metric, own in values.items() if name in own), None)
            if metric and merit.is_of_validations and options["metric"][metric].get("during_training") is False:
                raise InputError(
                    f"figures: {merit.name} is of validations, which do not compute {name}: add "
                    f"metric.{metric}.during_training=true to common"
                )


OF_TRAINING = ("batch_size", "limit", "train_size", "label_noise", "replacement")
"""Data options that do not change which samples are held out."""


def split_differences(options: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In what arms are judged on other held-out samples, so that their test figures are not of the same task.

    Args:
        options: of each arm.
    """
    splits = {
        arm: {name: value for name, value in result_settings(each)["data"].items() if name not in OF_TRAINING}
        for arm, each in options.items()
    }
    (first, split), *others = splits.items()
    return [
        f"the arms '{first}' and '{arm}' are judged on other data: data.{name} is {split.get(name)} and "
        f"{other.get(name)}"
        for arm, other in others
        for name in {**split, **other}
        if other.get(name) != split.get(name)
    ]
