"""Detection of NaN and infinite values before the optimizer step that would spread them to the weights."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from gans.errors import TrainingError
from gans.update import ScoredBatch

READ_EVERY = 10
"""Training steps between two reads of the result on a GPU, because each read makes the host wait."""


class NonFiniteError(TrainingError):
    """A loss, gradient or weight is NaN or infinite.

    Args:
        what: the name of the value, and the value.
        training_step: the step, counted from 1, that failed before its optimizer step.
    """

    def __init__(self, what: str, training_step: int) -> None:
        super().__init__(f"{what} at training step {training_step}")
        self.training_step = training_step


class NonFiniteDetector:
    """Checks a player's loss and gradients, after the backward pass and before the optimizer step.

    Args:
        every: training steps between two reads of the result. Until then, it stays on the device. Checkpoints are
            checked by ``require_finite_state``, so that they are finite in between too.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self._first_failure: dict[str, Tensor] = {}  # by player: the training step, or 0

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
        """Check an update; the result may be read in a later step.

        Raises:
            NonFiniteError: naming the source: an image, a weight, a term of the loss, or a gradient.
        """
        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        gradients = (weight.grad for weight in weights if weight.grad is not None)
        finite = get_total_norm([loss.detach(), *gradients]).isfinite()
        failed_step = self._read_first_failure(finite, player, step)
        # the norm of finite values can overflow: that is no failure, and nothing is found
        if failed_step and (what := _first_non_finite(_candidates(player, loss, batch, terms, gan))):
            raise NonFiniteError(what, failed_step)

    def _read_first_failure(self, finite: Tensor, player: str, step: int) -> int:
        """The first step that failed since the last read; 0 if none failed, or if it is not read in this step."""
        if self.every == 1:  # one operation instead of five
            return 0 if finite else step
        failed = torch.where(finite, 0, step)
        first = self._first_failure.get(player, failed)
        self._first_failure[player] = torch.where(first == 0, failed, first)
        return int(self._first_failure.pop(player)) if step % self.every == 0 else 0


def require_finite_state(gan: nn.Module, optimizers: Iterable[Optimizer], step: int) -> None:
    """Check everything that a checkpoint saves: weights, buffers and the optimizers' moments.

    Raises:
        NonFiniteError: naming the first tensor that is not finite.
    """
    moments = (
        (f"the optimizer's {name}", value)
        for optimizer in optimizers
        for state in optimizer.state.values()
        for name, value in state.items()
        if isinstance(value, Tensor)
    )
    saved = [*_weights(gan), *moments]
    finite = get_total_norm([value for _, value in saved if value.is_floating_point()]).isfinite()
    if not finite and (what := _first_non_finite(saved)):
        raise NonFiniteError(what, step)


def _candidates(
    player: str, loss: Tensor, batch: ScoredBatch, terms: Mapping[str, Tensor], gan: nn.Module
) -> Iterable[tuple[str, Tensor]]:
    """What may have failed, by name: causes before effects."""
    yield "an image of the training data", batch.real.images
    yield from _weights(gan)
    yield from ((f"the {player}'s {name} loss", values) for name, values in terms.items())
    for name, weight in gan.named_parameters():
        if weight.grad is not None:
            yield f"the gradient of {name}", weight.grad
    yield f"the {player}'s loss", loss


def _weights(gan: nn.Module) -> Iterable[tuple[str, Tensor]]:
    # what get_extra_state returns may be anything
    return ((f"the weight {name}", value) for name, value in gan.state_dict().items() if isinstance(value, Tensor))


def _first_non_finite(named: Iterable[tuple[str, Tensor]]) -> str | None:
    for name, values in named:
        if (wrong := values[~values.isfinite()]).numel():
            return f"{name} is {wrong[0].item()}"
    return None
