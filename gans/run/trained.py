"""Trained generators as files, written and read: a file holds the weights and the config, but no code."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gans.config.build import build, build_gan
from gans.config.validate import find_target, validate, validate_values
from gans.errors import InputError
from gans.files import replacing
from gans.gan import GAN
from gans.generator import Generator
from gans.models.cpu.layers import use_fast_layers
from gans.run.checkpoint_files import load_verified, newest_whole
from gans.run.folder import RunFolder
from gans.run.upgrade import upgrade

FORMAT = "gans generator 1"


@dataclass(frozen=True)
class TrainedGenerator:
    network: Generator
    """In inference mode."""
    config: dict[str, Any]
    """The run's config."""
    training_steps: int


def export_generator(gan: GAN, config: dict[str, Any], path: Path) -> None:
    """Write the network that generates samples, and the run's config, as safetensors."""
    write_generator(gan.stabilizers.sampling_generator(gan.generator), config, gan.training_steps, path)


def write_generator(network: nn.Module, config: dict[str, Any], training_steps: int, path: Path) -> None:
    """Write a generator's weights, and the config of its run, as safetensors."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    metadata = {"format": FORMAT, "config": json.dumps(config), "training_steps": str(training_steps)}
    with replacing(path) as file:
        file.write(save(weights, metadata))


def load_generator(path: Path, trust: Sequence[str] = ()) -> TrainedGenerator:
    """Read a checkpoint, or a ``.safetensors`` file of ``export_generator``. No code in the file is run.

    Args:
        trust: packages, beside this one and torch, that the config in the file may name.

    Raises:
        InputError: if the file is neither, or if its weights do not fit the network in its config.
    """
    weights, config, steps = _from_safetensors(path) if path.suffix == ".safetensors" else _from_checkpoint(path)
    model, data = config.get("model"), config.get("data")
    node = model.get("generator") if isinstance(model, dict) and isinstance(data, dict) else None
    if not isinstance(node, dict):
        raise InputError(f"'{path}' has no config of a generator of this package")
    target = find_target(node.get("_target_"), "model.generator", trust)
    if not (inspect.isclass(target) and issubclass(target, Generator)):
        raise InputError(f"'{path}' is not of a generator, but of {node['_target_']}")
    validate_values(node, "model.generator", trusted=trust)
    network = use_fast_layers(build(node, "model.generator"))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"'{path}' does not fit {node['_target_']}: {str(error).splitlines()[-1].strip()}") from error
    return TrainedGenerator(network.eval(), config, steps)


def load_gan(path: Path, trust: Sequence[str] = ()) -> GAN:
    """The whole GAN of a checkpoint, in inference mode.

    Args:
        trust: packages, beside this one and torch, that the config in the file may name.
    """
    checkpoint = read_checkpoint(path)
    gan = build_gan(validate(upgrade(checkpoint["config"]), trusted=trust))
    try:
        gan.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise InputError(f"'{path}' does not fit its config: {str(error).splitlines()[-1].strip()}") from error
    gan.eval()
    return gan


def find_weights(path: Path, *, whole: bool = False) -> Path:
    """The file with the weights: the path itself, or in a run folder the exported generator or the last checkpoint,
    whichever is of the last training step.

    Args:
        whole: whether the discriminator is needed too, which only checkpoints have.
    """
    if not path.exists():
        raise InputError(f"'{path}' does not exist: use a run folder or one of its checkpoints")
    if whole and path.suffix == ".safetensors":
        raise InputError(
            f"'{path}' holds no discriminator, which this sampling needs: use the run folder or one of its checkpoints"
        )
    if path.is_file() and path.suffix not in (".yaml", ".json", ".csv"):
        return path
    run = RunFolder.around(path)
    exported = run.generator_file if run.generator_file.is_file() and not whole else None
    is_finished = run.history.last == "finished"  # a run that trains on has an exported generator of before
    file = (exported if is_finished else None) or newest_whole(run.checkpoints, "last") or exported
    if file is None and whole and run.generator_file.is_file():
        raise InputError(
            f"'{path}' has no whole checkpoint, and so not the discriminator that this sampling needs: use sampling=all"
        )
    if file is None:
        raise InputError(f"'{path}' has no trained generator yet: training has not saved one")
    return file


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's tensors and plain values; an ``InputError`` if it is not a checkpoint of this package."""
    checkpoint = load_verified(path)
    kinds = {
        "state_dict": dict,
        "config": dict,
        "training_steps": int,
        "sampling_generator": str,
        "file_positions": dict,
    }
    if not isinstance(checkpoint, dict) or not all(isinstance(checkpoint.get(key), kinds[key]) for key in kinds):
        raise InputError(f"'{path}' is not a checkpoint of this package")
    return checkpoint


def _from_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], int]:
    checkpoint = read_checkpoint(path)
    prefix = f"{checkpoint['sampling_generator']}."
    weights = {
        name.removeprefix(prefix): value for name, value in checkpoint["state_dict"].items() if name.startswith(prefix)
    }
    return weights, upgrade(checkpoint["config"]), checkpoint["training_steps"]


def _from_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], int]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"can't read '{path}': {error}") from error
    if metadata.get("format") != FORMAT:
        raise InputError(f"'{path}' is not a generator of this package")
    try:
        return weights, upgrade(json.loads(metadata["config"])), int(metadata["training_steps"])
    except (KeyError, ValueError) as error:
        raise InputError(f"'{path}' is damaged: its metadata can't be read") from error
