"""A network as a table: layers, output shapes and parameter counts."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def parameter_count(network: nn.Module) -> int:
    """The number of weights and of BatchNorm's moving averages, which Keras counts too."""
    averages = [value for value in network.buffers() if value.is_floating_point()]
    return sum(value.numel() for value in [*network.parameters(), *averages])


@torch.no_grad()
def summarize(title: str, network: nn.Module, forward: Callable[[], object]) -> str:
    """A line per layer with its output shape in ``forward``, which passes a batch through the network."""
    rows: list[tuple[str, str, int]] = []

    def record(module: nn.Module, _: object, output: object) -> None:
        first = output[0] if isinstance(output, tuple) else output  # of a recurrent layer
        shape = " x ".join(map(str, first.shape[1:])) if isinstance(first, Tensor) else "-"
        rows.append((type(module).__name__, shape, parameter_count(module)))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(record) for module in leaves]
    was_training = network.training
    network.eval()
    forward()
    network.train(was_training)
    for hook in hooks:
        hook.remove()

    total = parameter_count(network)
    averages = total - sum(value.numel() for value in network.parameters())
    note = f" ({averages:,} of them moving averages)" if averages else ""
    lines = [f"{title}: {total:,} parameters{note}", f"{'layer':<22}{'output':<16}{'parameters':>12}"]
    lines += [f"{name:<22}{shape:<16}{count:>12,}" for name, shape, count in rows]
    return "\n".join(lines)
