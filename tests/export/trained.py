"""Trained generators whose images have contrast, so that a wrong weight shows."""

from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class

from gans.config.validate import Model, check_options
from gans.export.network import Exportable, exportable
from gans.generator import Generator
from gans.run.checkpoint_files import VerifiedCheckpointIO, checkpoint_path, newest_whole
from gans.run.folder import RunFolder
from gans.run.trained import load_generator, write_generator
from tests.configs import composed, data_for, names, narrow, option
from tests.run.runs import checkpoint, start

MODELS = names("model")
CONTRAST = 0.15
"""Standard deviation of the pixels in [0, 1] that a generator has at least."""


def class_of(model: str, network: str) -> str:
    """The class that a model's file names for a network, or the file of the model that it begins with."""
    node = option("model", model)
    base = next((each for each in node["defaults"] if str(each) in MODELS), "")
    return node.get("model", {}).get(network, {}).get("_target_") or class_of(base, network)


def makes_points(model: str) -> bool:
    kind = get_class(class_of(model, "generator"))
    return issubclass(kind, Generator) and kind.makes_points


def of_different_networks(models: list[str]) -> list[str]:
    """The first model of each pair of classes: a WGAN's networks are those of a DCGAN."""
    players = "generator", "discriminator"
    return sorted({tuple(class_of(name, each) for each in players): name for name in reversed(models)}.values())


IMAGE_MODELS = of_different_networks([name for name in MODELS if not makes_points(name)])
POINT_MODELS = [name for name in MODELS if makes_points(name)]
WITH_EMA = [(model, "none") for model in IMAGE_MODELS] + [("dcgan", "ema")]
"""Models, and a stabilizer that makes the images of a copy of the generator."""


def data_of(choice: str) -> str:
    """The name of the data that a model brings: that of their module."""
    return composed(choice)["data"]["_target_"].split(".")[-2]


def trained_run(folder: Path, model: str, *overrides: str) -> RunFolder:
    """A run of two steps. In its checkpoint and its generator's file, the last layer's weights are enlarged."""
    choice, sizes = f"model={model}", data_for(f"model={model}", 24, 70)
    own = () if any(text.startswith("data=") for text in sizes) else (f"data={data_of(choice)}",)
    data = (*own, *sizes, "data.batch_size=8")
    run = start(folder, choice, *narrow(choice), *data, "trainer.max_steps=2", *overrides)
    old = newest_whole(run.checkpoints, "last")
    assert old is not None
    made, contents = exportable(load_generator(old)), checkpoint(run)
    if not made.generator.makes_points:
        sharpen(made)
    prefix = f"{contents['sampling_generator']}."
    contents["state_dict"] |= {prefix + name: value for name, value in made.generator.state_dict().items()}
    old.unlink()
    VerifiedCheckpointIO().save_checkpoint(contents, checkpoint_path(run.checkpoints, "last", made.training_steps))
    write_generator(made.generator, made.config, made.training_steps, run.generator_file)
    return run


@torch.no_grad()
def sharpen(made: Exportable) -> None:
    last = [weight for weight in made.generator.parameters() if weight.ndim > 1][-1]
    while made.network(*made.inputs(4)).std() < CONTRAST:
        last.mul_(2)


def loaded(run: RunFolder) -> Exportable:
    """What the commands load."""
    return exportable(load_generator(run.generator_file))


def request(model: type[Model], run: Path, **options: Any) -> Model:
    """The options of a command."""
    name = model.__name__.removesuffix("Config").lower()
    return check_options(model, composed("run=some", config_name=name) | {"run": str(run)} | options)
