"""Finds and replaces the layers of a discriminator that stabilizers change."""

from typing import TypeVar

from torch import nn

from gans.errors import InputError
from gans.stabilize.base import StabilizedGAN

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Embedding)

Layer = TypeVar("Layer", bound=nn.Module)


def first_layer(gan: StabilizedGAN, stabilizer: str) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The name and the layer that takes the discriminator's input."""
    kinds: tuple[type[nn.Linear | nn.Conv2d], ...] = (nn.Linear, nn.Conv2d)
    return _layers(gan, stabilizer, "takes its input", kinds)[0]


def last_layer(gan: StabilizedGAN, stabilizer: str) -> tuple[str, nn.Linear]:
    """The name and the layer that makes the discriminator's output from features (n, f)."""
    return _layers(gan, stabilizer, "makes scores from features", (nn.Linear,))[-1]


def _layers(gan: StabilizedGAN, stabilizer: str, what: str, kinds: tuple[type[Layer], ...]) -> list[tuple[str, Layer]]:
    found = [(name, module) for name, module in gan.discriminator.named_modules() if isinstance(module, kinds)]
    if not found:
        raise InputError(
            f"stabilize.{stabilizer} needs a layer that {what}, but {type(gan.discriminator).__name__} has none: "
            "use another model, such as model=mlp"
        )
    return found
