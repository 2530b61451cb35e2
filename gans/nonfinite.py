"""Values that are no numbers, caught before the optimizer step that would spread them."""

from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from gans.errors import TrainingError
from gans.update import ScoredBatch

READ_EVERY = 10
"""Training steps between two looks at a verdict, on a device that works while the host goes on."""


class NonFiniteError(TrainingError):
    """A loss, gradient or weight that is NaN or infinite.

    Args:
        what: the value, by name, and what it is.
        training_step: the step under way, counted from 1; its optimizer step was not made.
    """

    def __init__(self, what: str, training_step: int) -> None:
        super().__init__(f"{what} at training step {training_step}")
        self.training_step = training_step


class NonFiniteDetector:
    """Checks a player's loss and gradients, after backward and before the optimizer's step.

    Args:
        every: training steps between two looks at the verdict. Each look makes the host wait for its device, which a
            CPU does not mind; in between, the verdict is kept where it was found. Weights that a later look finds to
            be broken are not saved either, see ``require_finite_state``.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self._broken_since: dict[str, Tensor] = {}  # of each player, the first training step; 0 for none

    def check(
        self,
        player: str,
        loss: Tensor,
        optimizer: Optimizer,
        batch: ScoredBatch,
        terms: Mapping[str, Tensor],
        gan: nn.Module,
        step: int,
    ) -> None:
        """Look at an update, the verdict on which may be read at a later one.

        Raises:
            NotFinite: naming where it began: the images, a weight, a term of the loss, or a gradient.
        """
        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        size = _size([loss.detach(), *(weight.grad for weight in weights if weight.grad is not None)])
        when = self._first_step_without(size.isfinite(), player, step)
        if when and (what := _first_broken(_suspects(player, loss, batch, terms, gan))):
            raise NonFiniteError(what, when)

    def _first_step_without(self, finite: Tensor, player: str, step: int) -> int:
        """The first step that broke since the last look; 0 if none did, and until the next look."""
        if self.every == 1:  # nothing to keep: one read instead of five small operations
            return 0 if finite else step
        broken = torch.where(finite, 0, step)
        first = self._broken_since.get(player, broken)
        self._broken_since[player] = torch.where(first == 0, broken, first)
        return int(self._broken_since.pop(player)) if step % self.every == 0 else 0


def _suspects(
    player: str, loss: Tensor, batch: ScoredBatch, terms: Mapping[str, Tensor], gan: nn.Module
) -> Iterable[tuple[str, Tensor]]:
    return chain(
        [("an image of the training data", batch.real.images)],
        _weights(gan),
        ((f"the {player}'s {name} loss", values) for name, values in terms.items()),
        (
            (f"the gradient of {name}", weight.grad)
            for name, weight in gan.named_parameters()
            if weight.grad is not None
        ),
        [(f"the {player}'s loss", loss)],
    )


def require_finite_state(gan: nn.Module, optimizers: Iterable[Optimizer], step: int) -> None:
    """Check all that a checkpoint would keep: weights, buffers and the optimizers' moments.

    Raises:
        NotFinite: naming the first one that is not finite.
    """
    moments = (
        (f"the optimizer's {name}", value)
        for optimizer in optimizers
        for state in optimizer.state.values()
        for name, value in state.items()
        if isinstance(value, Tensor)
    )
    kept = [*_weights(gan), *moments]
    if _size([value for _, value in kept if value.is_floating_point()]).isfinite():
        return
    if broken := _first_broken(kept):
        raise NonFiniteError(broken, step)


def _size(tensors: Iterable[Tensor]) -> Tensor:
    """The norm of all values: not finite if one of them is not, or, although all are, where it is beyond float32."""
    return get_total_norm(tensors)


def _weights(gan: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return ((f"the weight {name}", value) for name, value in gan.state_dict().items())


def _first_broken(named: Iterable[tuple[str, Tensor]]) -> str | None:
    for name, values in named:
        broken = values[~values.isfinite()]
        if broken.numel():
            return f"{name} is {broken[0].item()}"
    return None
