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

    def add_means(self, means: dict[str, tuple[float, float]]) -> None:
        """Add what ``pop_weighted`` of another accumulator has returned."""
        for name, (mean, weight) in means.items():
            self.add({name: torch.tensor(mean, dtype=torch.float64)}, weight)

    def pop(self) -> dict[str, float]:
        """The means since the last call, in one transfer from the device; empty if nothing was added."""
        return {name: mean for name, (mean, _) in self.pop_weighted().items()}

    def pop_weighted(self) -> dict[str, tuple[float, float]]:
        """The same, each with its weight: of what not every step measures it is smaller."""
        if not self._sums:
            return {}
        values = list(self._sums.values())
        # a restored sum is on the CPU until something is added to it
        device = next((value.device for value in values if not value.is_cpu), values[0].device)
        sums = torch.stack([value.to(device) for value in values]).tolist()
        weights = self._weights.values()
        means = {name: (total / weight, weight) for name, total, weight in zip(self._sums, sums, weights, strict=True)}
        self._sums, self._weights = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """The sums since the last ``pop``."""
        return {"sums": dict(self._sums), "weights": dict(self._weights)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums, self._weights = dict(state["sums"]), dict(state["weights"])
