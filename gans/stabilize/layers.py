"""Which layers of a discriminator a technique can take hold of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from torch import nn

from gans.errors import InputError

if TYPE_CHECKING:
    from gans.gan import GAN

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Embedding)

Layer = TypeVar("Layer", bound=nn.Module)


def first_layer(gan: GAN, stabilizer: str) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The layer of the discriminator that takes its input, and its name."""
    kinds: tuple[type[nn.Linear | nn.Conv2d], ...] = (nn.Linear, nn.Conv2d)
    return _layers(gan, stabilizer, "takes its input", kinds)[0]


def last_layer(gan: GAN, stabilizer: str) -> tuple[str, nn.Linear]:
    """The layer of the discriminator that makes its output from features (n, f), and its name."""
    return _layers(gan, stabilizer, "makes scores of features", (nn.Linear,))[-1]


def replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    """Put another layer in the place of the one with this name."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, layer)


def _layers(gan: GAN, stabilizer: str, what: str, kinds: tuple[type[Layer], ...]) -> list[tuple[str, Layer]]:
    found = [(name, module) for name, module in gan.discriminator.named_modules() if isinstance(module, kinds)]
    if not found:
        raise InputError(
            f"stabilize.{stabilizer} needs a layer that {what}, and {type(gan.discriminator).__name__} has none: "
            "use another model, such as model=mlp"
        )
    return found
