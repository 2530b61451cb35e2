"""From a validated config to the objects of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from gans.config.compatibility import require_match, require_trainer
from gans.config.schema import RunConfig
from gans.data.source import Source
from gans.errors import InputError, one_line
from gans.features.files import load_features
from gans.gan import GAN
from gans.metrics.base import Metric
from gans.metrics.evaluator import Evaluator
from gans.models.cpu.layers import use_fast_layers
from gans.randomness import derive_seed
from gans.stabilize import Stabilizers


@dataclass(frozen=True)
class RunComponents:
    """What a run is made of, checked to go together."""

    data: Source[Any]
    """Read and split."""
    gan: GAN
    evaluator: Evaluator | None
    """None where no metric was chosen."""

    @property
    def best_by(self) -> str | None:
        """The validation figure that the best checkpoint minimizes; None where it is not computed."""
        name = self.evaluator.name("fid", "val") if self.evaluator else None
        return f"val/{name}" if name else None


def build_run(config: RunConfig, branch: int = 0) -> RunComponents:
    """Build all that a run needs but its trainer, which writes into the run folder.

    Raises:
        InputError: for what can't be built, or does not go together.
    """
    require_trainer(config.trainer)
    data, gan = build_data(config), build_gan(config, branch)
    require_match(gan, data)
    metrics = build_metrics(config)
    features = data.feature_extractor or (load_features(data.source) if metrics else None)
    evaluator = Evaluator(metrics, features, data, config.evaluated_images) if metrics and features else None
    return RunComponents(data, gan, evaluator)


def build_data(config: RunConfig) -> Source[Any]:
    """The data module, its data read and split."""
    return read_data(config.data, config.seed)


def read_data(node: dict[str, Any], seed: int) -> Source[Any]:
    """The data module that a config's data group describes, its data read and split."""
    data = build(node, "data", seed=seed)
    data.prepare_data()
    data.setup()
    return data


def build_gan(config: RunConfig, branch: int = 0) -> GAN:
    """The GAN with its initial weights, a function of the config's seed. See GAN for ``branch``."""
    torch.manual_seed(derive_seed(config.seed, "weights"))
    networks = {name: node for name, node in config.model.items() if _is_network(node)}
    others = {name: node for name, node in config.model.items() if name not in networks}
    return build(
        others,
        "model",
        objective=build(config.objective, "objective"),
        stabilizers=build_stabilizers(config),
        seed=config.seed,
        branch=branch,
        **{name: use_fast_layers(build(node, f"model.{name}")) for name, node in networks.items()},
    )


def build_stabilizers(config: RunConfig) -> Stabilizers:
    return Stabilizers({name: build(node, f"stabilize.{name}") for name, node in config.stabilize.items()})


def build_metrics(config: RunConfig) -> dict[str, Metric]:
    """The metrics, by name."""
    return {name: build(node, f"metric.{name}") for name, node in config.metric.items()}


def build_figures(config: RunConfig) -> dict[str, Callable[[Any, Path], list[Path]]]:
    """The functions that draw figures, by name."""
    return {name: instantiate(node, _convert_="all", _partial_=True) for name, node in config.figure.items()}


def build(node: dict[str, Any], path: str, **supplied: Any) -> Any:
    """The object that a validated node describes.

    Args:
        path: the node's, for errors.
        supplied: arguments that no config can hold.

    Raises:
        InputError: where its class refuses the values.
    """
    try:
        return instantiate(node, _convert_="all", _partial_=True)(**supplied)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise InputError(f"{path}: {one_line(error)}") from error


def _is_network(node: Any) -> bool:
    """Whether an option of a model is a network, and no value or optimizer that is still to be given its weights."""
    return isinstance(node, dict) and "_target_" in node and not node.get("_partial_")
