"""A trained generator in one file, and back: weights and what is needed to rebuild the network, no code."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from gans.building import build, check, target_class
from gans.checkpoints import load_checked
from gans.errors import InputError
from gans.files import replacing
from gans.gan import GAN
from gans.generator import Generator

FORMAT = "gans generator 1"


@dataclass(frozen=True)
class TrainedGenerator:
    network: Generator
    """In inference mode."""
    config: dict[str, Any]
    """The config of the run that trained it."""
    training_steps: int


class DescribedModel(BaseModel):
    generator: dict[str, Any]


class DescribedData(BaseModel):
    digits: list[int] = []


class Described(BaseModel):
    """What loading a generator needs of a config."""

    model: DescribedModel
    data: DescribedData


def export_generator(gan: GAN, config: dict[str, Any], path: Path) -> None:
    """Write the network that draws samples, with its config, as safetensors."""
    network = gan.stabilizers.sampler(gan.generator)
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    metadata = {"format": FORMAT, "config": json.dumps(config), "training_steps": str(gan.training_steps)}
    with replacing(path) as file:
        file.write(save(weights, metadata))


def load_generator(path: Path) -> TrainedGenerator:
    """Read a ``.safetensors`` file of ``export_generator`` or a checkpoint; no code in the file is run.

    Raises:
        InputError: where the file is neither, or does not fit the network that it describes.
    """
    weights, config, steps = _read_safetensors(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    try:
        node = Described.model_validate(config).model.generator
    except ValidationError as error:
        raise InputError(f"'{path}' describes no generator of this package") from error
    if not issubclass(target_class(str(node.get("_target_"))), Generator):
        raise InputError(f"'{path}' describes {node['_target_']}, which is not a generator")
    check(node, "model.generator")
    network = build(node, "model.generator")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"'{path}' does not fit {node['_target_']}: {str(error).splitlines()[-1].strip()}") from error
    return TrainedGenerator(network.eval(), config, steps)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents: tensors and plain values only.

    Raises:
        InputError: where the file is no checkpoint of this package.
    """
    checkpoint = load_checked(path)
    kinds = {"state_dict": dict, "config": dict, "training_steps": int}
    if not isinstance(checkpoint, dict) or not all(isinstance(checkpoint.get(key), kinds[key]) for key in kinds):
        raise InputError(f"'{path}' is not a checkpoint of this package")
    return checkpoint


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], int]:
    checkpoint = read_checkpoint(path)
    prefix = f"{checkpoint.get('sampler', 'generator')}."
    weights = {
        name.removeprefix(prefix): value for name, value in checkpoint["state_dict"].items() if name.startswith(prefix)
    }
    return weights, checkpoint["config"], checkpoint["training_steps"]


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], int]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"can't read '{path}': {error}") from error
    if metadata.get("format") != FORMAT:
        raise InputError(f"'{path}' is not a generator of this package")
    try:
        return weights, json.loads(metadata["config"]), int(metadata["training_steps"])
    except (KeyError, ValueError) as error:
        raise InputError(f"'{path}' does not say what it is a generator of: its metadata are damaged") from error
