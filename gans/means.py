"""Weighted means of what every step measures, summed up on the device and read rarely."""

from typing import Any

import torch
from torch import Tensor


class MeanAccumulator:
    """Sums on the device, so that the host waits for the device only in ``pop``."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}

    def add(self, values: dict[str, Tensor], weight: float = 1.0) -> None:
        """Add scalars, each the mean of ``weight`` samples or steps."""
        for name, tensor in values.items():
            value = tensor.detach()
            self._sums[name] = self._sums[name].add(value, alpha=weight) if name in self._sums else value * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight

    def add_numbers(self, values: dict[str, float], weight: float) -> None:
        """Add Python numbers."""
        self.add({name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}, weight)

    def pop(self) -> dict[str, float]:
        """The means since the last call, in one transfer from the device; empty if nothing was added."""
        if not self._sums:
            return {}
        sums = torch.stack([value.double() for value in self._sums.values()]).tolist()
        means = {name: total / self._weights[name] for name, total in zip(self._sums, sums, strict=True)}
        self._sums, self._weights = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """The sums since the last ``pop``."""
        return {"sums": dict(self._sums), "weights": dict(self._weights)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums, self._weights = dict(state["sums"]), dict(state["weights"])
