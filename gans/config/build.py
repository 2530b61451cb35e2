"""From a validated config to the objects of a run."""

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import nn

from gans.config.compatibility import require_match, require_trainer
from gans.config.schema import RunConfig
from gans.config.shell import REPOSITORY, shell_command
from gans.config.validate import parameters_of
from gans.data.images import ImageData
from gans.data.progress import ProgressBar
from gans.data.source import Source
from gans.data.stacked import Stacked
from gans.errors import InputError, is_want_of_memory, one_line, warn_once
from gans.features.none import NoFeatures
from gans.features.provide import provide_features
from gans.figures import Draw
from gans.files import is_installed
from gans.gan import GAN
from gans.metrics.base import Metric
from gans.metrics.evaluator import Evaluator
from gans.models.cpu.layers import use_fast_layers
from gans.randomness import derive_seed
from gans.sampling import Sampling
from gans.stabilize.base import Stabilizers, require_hooks

PACKAGE = REPOSITORY / "gans"
AS_PARTIAL = {"_convert_": "all", "_partial_": True}
"""What makes Hydra return a function of further arguments, with plain Python's values."""
SET_BY_BASES: dict[type, str] = {nn.Module: "_modules", Metric: "during_training", Source: "is_set_up"}
"""An attribute that the initializer of a base class sets, and without which objects fail late."""


@dataclass(frozen=True)
class RunComponents:
    """The objects of a run, which are compatible."""

    data: Source
    """The data module, set up."""
    gan: GAN
    evaluator: Evaluator | None
    """None without metrics."""
    sampling: Sampling
    """How samples are chosen in the test."""

    @property
    def best_by(self) -> str | None:
        """The validation metric that the best checkpoint minimizes; None if it is not computed."""
        name = self.evaluator.name("fid", "val") if self.evaluator else None
        return f"val/{name}" if name else None


def build_run(config: RunConfig, branch: int = 0) -> RunComponents:
    """Build everything but the trainer; an InputError if an object can't be built, or if they are not compatible."""
    require_trainer(config.trainer)
    data, gan = build_data(config), build_gan(config, branch)
    require_match(gan, data)
    evaluator = build_evaluator(config, data)
    sampling = build(config.sampling, "sampling")
    sampling.require_match(gan)
    if evaluator is None and sampling.protocol is not None:
        raise InputError(
            "sampling=... chooses the samples of the test's metrics, and metric=none has none: use metric=[fid]"
        )
    if evaluator is not None:
        warn_of_few(evaluator)
    return RunComponents(data, gan, evaluator, sampling)


def build_evaluator(config: RunConfig, data: Source) -> Evaluator | None:
    """The evaluator, which can describe the data; None without metrics."""
    return make_evaluator(build_each(config.metric, "metric"), config.data, data, config.evaluated_images)


def make_evaluator(
    metrics: dict[str, Metric], node: dict[str, Any], data: Source, evaluated_images: int
) -> Evaluator | None:
    """The evaluator of metrics, which can describe the data of a config's data group; None without metrics."""
    if not metrics:
        return None
    most = min(evaluated_images, max(len(images.labels) for images in (data.val_images, data.test_images)))
    needed = any(metric.uses_features and metric.minimum <= most for metric in metrics.values())
    features = provide_features(data, features_command(node, data)) if needed else NoFeatures(data.class_names)
    evaluator = Evaluator(metrics, features, data, evaluated_images)
    evaluator.require_match()
    return evaluator


def warn_of_few(evaluator: Evaluator) -> None:
    """Say before training which metrics of images the test leaves out, since it has too few."""
    samples = evaluator.held_out("test").content
    minimum = {name: metric.minimum for name, metric in evaluator.metrics.items()}
    few = [f"{name} (needs {least})" for name, least in minimum.items() if least > len(samples)]
    if few and samples.ndim == 4:
        warn_once(f"the test compares {len(samples)} images, too few for {', '.join(few)}; these are left out")


def features_command(node: dict[str, Any], data: Source) -> str:
    """The command that trains the feature network of a config's data: with the options that say which images they are.

    Those that say which of them a run uses, and how, are left out.
    """
    whole = parameters_of(Stacked) if data.stacks_channels else set(parameters_of(ImageData)) - {"size", "channels"}
    options = {f"data.{name}": value for name, value in node.items() if name not in {"_target_", *whole}}
    return shell_command("features.py", {"data": data.source, **options})


def build_data(config: RunConfig) -> Source:
    return read_data(config.data, config.seed)


def read_data(node: dict[str, Any], seed: int) -> Source:
    """The data module of a config's data group, set up."""
    data = build(node, "data", seed=seed)
    if not isinstance(getattr(data, "source", None), str):
        raise InputError(f'data: {type(data).__name__} has no name: add the line source = "my_data" to it')
    if not re.fullmatch(r"[A-Za-z]\w*", data.source):
        raise InputError(
            f"data: the name of {type(data).__name__}, {data.source!r}, is part of the names of files and metrics: use "
            "letters, digits and _, the first one of a to z, as in my_data"
        )
    try:
        with ProgressBar("reading the data"):
            data.prepare_data()
            data.setup()
    except (RuntimeError, MemoryError) as error:
        if not is_want_of_memory(error):
            raise
        raise InputError(
            f"data={data.source} does not fit into memory: use fewer samples ({one_line(error)})"
        ) from error
    return data


def build_gan(config: RunConfig, branch: int = 0) -> GAN:
    """The GAN with its initial weights, which depend on the config's seed only. ``GAN`` explains ``branch``."""
    torch.manual_seed(derive_seed(config.seed, "weights"))
    networks = {name: node for name, node in config.model.items() if _is_network(node)}
    options = {name: node for name, node in config.model.items() if name not in networks}
    stabilizers = build_each(config.stabilize, "stabilize")
    require_hooks(stabilizers)
    return build(
        options,
        "model",
        objective=build(config.objective, "objective"),
        stabilizers=Stabilizers(stabilizers),
        seed=config.seed,
        branch=branch,
        **{name: use_fast_layers(build(node, f"model.{name}")) for name, node in networks.items()},
    )


def build_figures(config: RunConfig) -> dict[str, Draw]:
    """The functions that draw figures, by name."""
    return {name: instantiate(node | AS_PARTIAL) for name, node in config.figure.items()}


def build_each(group: dict[str, dict[str, Any]], path: str) -> dict[str, Any]:
    """The objects of a group with several choices, by name."""
    return {name: build(node, f"{path}.{name}") for name, node in group.items()}


def build(node: dict[str, Any], path: str, **supplied: Any) -> Any:
    """The object of a validated node.

    Args:
        path: the node's path, for error messages.
        supplied: further arguments, which a config can't hold.

    Raises:
        InputError: if the class refuses the values.
    """
    try:
        made = instantiate(node | AS_PARTIAL)(**supplied)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise InputError(f"{path}: {one_line(error)}{place_of(error)}") from error
    if any(isinstance(made, base) and attribute not in vars(made) for base, attribute in SET_BY_BASES.items()):
        raise InputError(f"{path}: {type(made).__name__} must call super().__init__() at the start of its __init__")
    return made


def place_of(error: BaseException) -> str:
    """The last line of the user's own files that an error passed: " (my_ideas.py, line 12)"; "" if there is none."""
    own = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if not (frame.filename.startswith("<") or is_installed(path) or PACKAGE in path.parents):
            own = f" ({path.name}, line {frame.lineno})"
    return own


def _is_network(node: Any) -> bool:
    """Whether a model's option is a network: not a plain value, and not a partial, which is an optimizer."""
    return isinstance(node, dict) and "_target_" in node and not node.get("_partial_")
