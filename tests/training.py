"""Small GANs and batches, and how tests train them."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from itertools import islice
from typing import Any

import lightning as L
import torch
from hydra.utils import get_class
from torch import Tensor, nn

from gans.config.build import build_data, build_gan
from gans.config.schema import RunConfig
from gans.config.validate import validate
from gans.data.batches import Batch
from gans.errors import InputError
from gans.gan import GAN
from gans.generator import Generator
from gans.models.mlp import MaxoutDiscriminator, MLPGenerator
from gans.objectives import BinaryCrossEntropy, Objective
from gans.stabilize import Stabilizer, Stabilizers
from gans.update import Samples, ScoredBatch
from tests.configs import composed, like_without_download, names, option

SAMPLES = 4
"""In a batch of a small config."""
LEAST = {"width": 8, "depth": 1, "latent_size": 8, "pieces": 2}
"""Sizes of small networks, where they are an option; ``widths`` are limited to 8."""


class Batches:
    """Given batches as a loader; a bare list of tuples would be taken for several loaders."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


def train(gan: GAN, batches: Sequence[Batch], **options: Any) -> GAN:
    """Train on the batches once each, through Lightning's trainer."""
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    L.Trainer(max_epochs=1, enable_model_summary=False, **silent, **options).fit(gan, Batches(batches))
    return gan


def random_batch(count: int = 8, seed: int = 0) -> Batch:
    """Digits' images of noise, with all classes."""
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(count, 1, 28, 28, generator=random), torch.arange(count) % 10)


def random_points(count: int = 8, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(count, 2, generator=random), torch.arange(count) % 8)


def weights(network: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in network.parameters()]


def same(before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    return all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def points_gan(*stabilizers: Stabilizer, objective: Objective | None = None, rate: float = 1e-3, **options: Any) -> GAN:
    """The smallest GAN of points with several layers."""
    torch.manual_seed(0)
    return GAN(
        MLPGenerator(width=8, depth=1),
        MaxoutDiscriminator(width=8, depth=1, pieces=2),
        objective or BinaryCrossEntropy(),
        Stabilizers({f"number {index}": each for index, each in enumerate(stabilizers)}),
        partial(torch.optim.Adam, lr=rate),
        partial(torch.optim.Adam, lr=rate),
        **options,
    )


class TinyGenerator(Generator):
    """Latents (n, 4) -> images (n, 1, 8, 8) in (-1, 1)."""

    latent_size = 4
    pixel_range = (-1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        hidden = nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU()
        self.layers = nn.Sequential(*hidden, nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8)), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


def tiny_gan(objective: str = "bce", stabilizers: Sequence[str] = (), changes: Mapping[str, Any] | None = None) -> GAN:
    """A GAN of small images that goes with every objective and every stabilizer, and is built fast.

    Args:
        changes: options of stabilizers, such as ``{"ema.decay": 0.9}``.
    """
    given = changes or {}

    def made(node: dict[str, Any], name: str = "") -> Any:
        others = {key: value for key, value in node.items() if key != "_target_"}
        prefix = f"{name}."
        own = [path for path in given if path.startswith(prefix)]
        changed = {path.removeprefix(prefix): given[path] for path in own}
        return get_class(node["_target_"])(**(others | changed))

    torch.manual_seed(0)
    named = {key: made(node, key) for name in stabilizers for key, node in option("stabilize", name).items()}
    layers = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Flatten(), nn.Linear(64, 1)
    optimizer = partial(torch.optim.Adam, lr=1e-3, fused=True)
    return GAN(
        TinyGenerator(),
        nn.Sequential(*layers),
        made(option("objective", objective)),
        Stabilizers(named),
        optimizer,
        optimizer,
    )


def tiny_batches(count: int = 2) -> list[Batch]:
    random = torch.Generator().manual_seed(0)
    return [Batch(torch.rand(SAMPLES, 1, 8, 8, generator=random), torch.arange(SAMPLES)) for _ in range(count)]


# --- batches of losses ------------------------------------------------------------------------------------------------


def samples_of(images: Tensor, target: float = 0.0, *, desired_real: bool = False) -> Samples:
    """Samples without classes."""
    count = len(images)
    labels, desired = torch.zeros(count, dtype=torch.long), torch.full((count,), desired_real)
    return Samples(images, labels, torch.full((count,), target, dtype=images.dtype), desired)


def scored_batch(scores: Tensor, target: float = 0.0, real: Tensor | None = None) -> ScoredBatch:
    """A batch of samples that are their own scores: fakes, and reals if they are given."""
    fakes = samples_of(scores, target)
    reals = fakes.first(0) if real is None else samples_of(real, target, desired_real=True)
    outputs = scores if real is None else torch.cat((scores, real))
    return ScoredBatch(lambda images, _: images[:, None], fakes, reals, False, outputs[:, None])


# --- configs ----------------------------------------------------------------------------------------------------------


@cache
def small_options(choice: str, batch_size: int = SAMPLES) -> dict[str, Any]:
    """The config of model=... or experiment=..., with small networks, on few samples that need no download."""
    config = composed(choice)
    for override in like_without_download(choice):
        group, name = override.split("=")
        like = option(group, name)
        config[group] |= {key: value for key, value in like.items() if key in ("_target_", "val_size")}
        del config[group]["root"]
    data = config["data"]
    limits = {"limit": 20, "train_size": 20, "val_size": 10, "test_size": 10, "batch_size": batch_size}
    data |= {key: value for key, value in limits.items() if key in data}
    for network in (config["model"]["generator"], config["model"]["discriminator"]):
        network |= {key: min(least, network[key]) for key, least in LEAST.items() if key in network}
        if "widths" in network:
            network["widths"] = [min(width, 8) for width in network["widths"]]
    return config


def small_config(choice: str, changes: dict[str, Any] | None = None) -> RunConfig:
    """The validated small config, with options changed, such as ``{"stabilize.ema.decay": 0.9}``."""
    config = deepcopy(small_options(choice))
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    return validate(config)


def gan_of(
    model: str, objective: str | None = None, stabilizers: Sequence[str] = (), changes: dict[str, Any] | None = None
) -> GAN:
    """A small GAN: the model's own objective unless another is named, and stabilizers in this order."""
    techniques = {key: deepcopy(node) for name in stabilizers for key, node in option("stabilize", name).items()}
    chosen: dict[str, Any] = {"stabilize": techniques}
    if objective is not None:
        chosen["objective"] = dict(option("objective", objective))
    return build_gan(small_config(f"model={model}", chosen | (changes or {})))


def refusal(model: str, objective: str | None = None, stabilizers: Sequence[str] = ()) -> str:
    """Why a combination is refused; empty where it is not."""
    try:
        gan_of(model, objective, stabilizers)
    except InputError as error:
        return str(error)
    return ""


@cache
def batches_of(model: str) -> list[Batch]:
    """Two batches of a model's data."""
    return list(islice(build_data(small_config(f"model={model}")).train_batches, 2))


MODELS, OBJECTIVES, STABILIZERS = (names(group) for group in ("model", "objective", "stabilize"))
