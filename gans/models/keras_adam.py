"""Keras's Adam, with which the reports trained."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class KerasAdam(torch.optim.Adam):
    """Adam as Keras has it: epsilon is added before the bias correction (Kingma and Ba 2015, the end of section 2).

    ``torch.optim.Adam`` adds it after. In step t the two are equal if PyTorch's epsilon is eps / √(1 - β₂ᵗ), which is
    32 times larger in the first step with β₂ = 0.999, and the same after some thousands of steps.

    Args:
        params: weights, or groups of them.
        eps: Keras's epsilon, 1e-7 by default there.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-7,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, fused=fused)
        for group in self.param_groups:
            group["keras_eps"], group["steps"] = group["eps"], 0  # in the group, where checkpoints find them
        # a step() that calls Adam's would run all hooks twice once some Adam exists: PyTorch wraps step() of each class
        self.register_step_pre_hook(_set_epsilon)


def _set_epsilon(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["steps"] += 1
        group["eps"] = group["keras_eps"] / math.sqrt(1 - group["betas"][1] ** group["steps"])
