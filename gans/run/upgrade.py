"""Configs of runs of earlier versions, with the names that options have now."""

from typing import Any

SIZED = tuple(f"gans.models.{name}." for name in ("dcgan", "acgan", "projection", "residual"))
"""The networks that know their images' size, which was 28x28x1."""


WIDTHS = {
    "gans.models.dcgan.DCGANGenerator": 64,
    "gans.models.dcgan.DCGANDiscriminator": 64,
    "gans.models.acgan.ACGANGenerator": 384,
    "gans.models.acgan.ACGANDiscriminator": 32,
    "gans.models.cgan.ConcatenatingGenerator": 64,
    "gans.models.cgan.ConcatenatingDiscriminator": 64,
}
"""The networks whose width has become an option, and the width that they had."""


def upgrade(config: dict[str, Any]) -> dict[str, Any]:
    """The same config; in one of an earlier version ``data.digits`` is ``data.classes``, and the networks' size and
    width are written."""
    data, model = config.get("data"), config.get("model")
    if isinstance(model, dict):
        model = {name: with_width(node) for name, node in model.items()}
        config = config | {"model": model}
    if not isinstance(data, dict) or "digits" not in data:
        return config
    shape = {"size": 28, "channels": 1}
    renamed = {"classes" if name == "digits" else name: option for name, option in data.items()}
    if isinstance(model, dict):
        model = {
            name: shape | node if isinstance(node, dict) and str(node.get("_target_")).startswith(SIZED) else node
            for name, node in model.items()
        }
    return config | {"data": shape | renamed, "model": model}


def with_width(node: Any) -> Any:
    """A network's options, with the width that it had before that was one."""
    target = str(node.get("_target_")) if isinstance(node, dict) else ""
    return {"width": WIDTHS[target]} | node if target in WIDTHS else node
