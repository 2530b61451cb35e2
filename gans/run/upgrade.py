"""Configs of runs of earlier versions, with the names that options have now."""

from typing import Any

SIZED = tuple(f"gans.models.{name}." for name in ("dcgan", "acgan", "projection", "residual"))
"""The networks that know their images' size, which was 28x28x1."""


def upgrade(config: dict[str, Any]) -> dict[str, Any]:
    """The same config; in one of an earlier version ``data.digits`` is ``data.classes``, and the size is written."""
    data, model = config.get("data"), config.get("model")
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
