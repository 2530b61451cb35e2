"""Which runs are the same: the settings that decide results, the runs that have them, and what a run is called."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from gans.config.resolve import flatten
from gans.config.schema import USE_ALL
from gans.config.validate import find_target, targets_of
from gans.data.source import Source
from gans.errors import InputError, one_line
from gans.files import code_sha256
from gans.run.folder import RunFolder
from gans.run.upgrade import upgrade

SHOWN = ("log_every", "samples", "figure", "formats")
"""Options that change what a run shows, but neither its trained weights nor its test's numbers."""
WITHOUT_EFFECT = ("runs", "resume", "test", "draw", "trust", "checkpoint", *SHOWN)


def result_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide a run's trained weights and its test's numbers: runs are the same if these are equal.

    Everything counts except for

    - ``runs``, ``resume``, ``test``, ``draw``, ``trust``: where a run is written, what is
      done with it, and who may read it;
    - ``checkpoint``: when the last checkpoint is written. After a non-finite value a run rolls back to it, but a run's
      results depend on the clock then anyway (``every_minutes``);
    - ``samples``, ``figure``, ``formats``: what is drawn. Grids have random numbers of their own;
    - ``log_every``: how many points the curves have, and so how finely the verdict can tell when something happened,
      and how much a curve fluctuates: studies warn where it differs;
    - ``data.root`` of data sets whose files are verified by checksum. Of others, another folder may hold other images.

    The metrics count, because they are computed during training and in the test, and the best checkpoint is chosen by
    one of them. ``trainer.accelerator`` counts, because another device gives other last bits.
    """
    settings = {name: option for name, option in upgrade(dict(config)).items() if name not in WITHOUT_EFFECT}
    settings.setdefault("sampling", USE_ALL)  # runs of earlier versions have no such option
    data = settings.get("data")
    if isinstance(data, dict) and verifies_files(str(data.get("_target_"))):
        settings["data"] = {name: option for name, option in data.items() if name != "root"}
    return with_whole_numbers(settings)


def settings_text(config: Mapping[str, Any]) -> str:
    """The result settings as text: two runs are the same if their texts are equal.

    Stabilizers act in the order in which they are named, so runs with another order have another text.

    Raises:
        InputError: for a config of something else, such as one with dates.
    """
    settings = result_settings(config)
    try:
        return json.dumps([settings, list(settings.get("stabilize", {}))], sort_keys=True)
    except TypeError as error:
        raise InputError(f"a config has what is no option of a run: {one_line(error)}") from error


def verifies_files(target: str) -> bool:
    """Whether a data module of this package verifies its files."""
    with suppress(InputError):
        return target.startswith("gans.") and bool(getattr(find_target(target, "data", ()), "verifies_files", False))
    return False


def may_have_changed(config: Mapping[str, Any]) -> bool:
    """Whether the same settings may be of other images: of a folder or file that no checksum verifies, or own code."""
    data = config.get("data", {})
    target = str(data.get("_target_"))
    may_name_files = any(isinstance(value, str) for name, value in data.items() if name != "_target_")
    return (may_name_files or not target.startswith("gans.")) and not verifies_files(target)


def own_code_sha256(settings: str) -> str:
    """The hash of the user's own code behind a run's ``settings_text``; "" if there is none, or it is in no file."""
    modules = sorted({target.rpartition(".")[0] for target in targets_of(json.loads(settings))})
    hashes = [own for module in modules if (own := code_sha256(module))]
    return sha256("".join(hashes).encode()).hexdigest() if hashes else ""


def same_runs(
    config: Mapping[str, Any], runs: Iterable[RunFolder], data: Source | None = None, *, any_code: bool = False
) -> list[RunFolder]:
    """The runs with a config's result settings, whatever they are called; finished ones first.

    Args:
        data: the images as they are now, set up: runs on other ones are others. None: not known.
        any_code: whether runs of another version of the user's own code are the same, too.
    """
    settings = settings_text(config)
    found = [run for run in runs if _settings_of(run) == settings]
    if not any_code:
        found = of_this_code(settings, found)
    if data:
        found = [run for run in found if not run.history.has_other_images(data)]
    return sorted(found, key=lambda run: run.history.last != "finished")


def of_this_code(settings: str, runs: Sequence[RunFolder]) -> list[RunFolder]:
    """The runs, without those that were trained with another version of the user's own code."""
    own = own_code_sha256(settings)
    return [run for run in runs if run.history.own_code <= {own}]


def finished_before(run: RunFolder, config: Mapping[str, Any]) -> str:
    """What to say instead of training a run again: its folder, and the options in which it differs."""
    own, wanted = (flatten({name: options.get(name) for name in SHOWN}) for options in (run.config, config))
    changed = ", ".join(f"{name}={own.get(name)}" for name in own | wanted if own.get(name) != wanted.get(name))
    return f"finished before{f', with {changed}' if changed else ''}: {run.path}"


def _settings_of(run: RunFolder) -> str | None:
    try:
        return settings_text(run.config)
    except InputError:  # a damaged config is that of no known run
        return None


def with_whole_numbers(options: Any) -> Any:
    """Options with 1 in place of 1.0, which is the same setting."""
    if isinstance(options, dict):
        return {name: with_whole_numbers(value) for name, value in options.items()}
    if isinstance(options, list):
        return [with_whole_numbers(value) for value in options]
    return int(options) if isinstance(options, float) and options.is_integer() else options


def run_name(choices: Mapping[str, str], config: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """The name of a run: data, model, objective, stabilizers and seed, and what is unusual of size, optimizers,
    sampling, budget and precision.

    Args:
        choices: the choice in each config group.
        usual: the options that the choices of data and model bring.
    """
    data, trainer = ({name: value for name, value in config[group].items() if value != usual[group].get(name)}
                     for group in ("data", "trainer"))  # fmt: skip
    parts = [choices["data"] + plain("".join(map(str, data.get("classes", []))))]
    parts += [f"{data[name]}{word}" for name, word in (("size", "px"), ("channels", "channels")) if data.get(name)]
    parts += [f"{word}{data[name]}" for name, word in (("limit", "limit"), ("train_size", "size")) if data.get(name)]
    parts += [choices["model"], choices["objective"], "+".join(map(plain, config["stabilize"])) or "none"]
    if (optimizers := optimizer_names(config["model"])) != optimizer_names(usual["model"]):
        parts.append("+".join(optimizers))
    parts += [choices["sampling"]] if choices.get("sampling", "all") != "all" else []
    limits = {word: trainer.get(f"max_{word}s") for word in ("epoch", "step")}
    parts += [f"{limit}{word}{'s' if limit > 1 else ''}" for word, limit in limits.items() if limit]
    if "precision" in trainer:
        parts.append(trainer["precision"].partition("-")[0])
    return "-".join((*parts, f"seed{config['seed']}"))


def plain(text: str) -> str:
    """Text for a file name: letters, digits, "_", "+" and "."; cut off if it is long."""
    return re.sub(r"[^\w+.]+", "_", text)[:40]


def optimizer_names(model: Mapping[str, Any]) -> list[str]:
    """The classes of the players' optimizers, in lower case; one if both have the same."""
    nodes = (model.get(f"{player}_optimizer", {}) for player in ("generator", "discriminator"))
    return list(dict.fromkeys(str(node.get("_target_")).rpartition(".")[2].lower() for node in nodes))
