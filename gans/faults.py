"""Values that are no numbers, caught before the optimizer step that would spread them."""

from collections.abc import Iterable, Mapping
from itertools import chain

from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from gans.errors import TrainingError
from gans.turn import Turn


class NotFinite(TrainingError):
    """A loss, gradient or weight that is NaN or infinite.

    Args:
        what: the value, by name, and what it is.
        training_step: the step under way, counted from 1; its optimizer step was not made.
    """

    def __init__(self, what: str, training_step: int) -> None:
        super().__init__(f"{what} at training step {training_step}")
        self.training_step = training_step


def require_finite(
    player: str, loss: Tensor, optimizer: Optimizer, turn: Turn, terms: Mapping[str, Tensor], gan: nn.Module, step: int
) -> None:
    """Check a player's loss and gradients, after backward and before the optimizer's step.

    Raises:
        NotFinite: naming where it began: the images, a weight, a term of the loss, or a gradient.
    """
    weights = (weight for group in optimizer.param_groups for weight in group["params"])
    if _surely_finite([loss.detach(), *(weight.grad for weight in weights if weight.grad is not None)]):
        return
    suspects = chain(
        [("an image of the training data", turn.real.images)],
        _weights(gan),
        ((f"the {player}'s {name} loss", values) for name, values in terms.items()),
        (
            (f"the gradient of {name}", weight.grad)
            for name, weight in gan.named_parameters()
            if weight.grad is not None
        ),
        [(f"the {player}'s loss", loss)],
    )
    if broken := _first_broken(suspects):
        raise NotFinite(broken, step)


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
    if _surely_finite([value for _, value in kept if value.is_floating_point()]):
        return
    if broken := _first_broken(kept):
        raise NotFinite(broken, step)


def _surely_finite(tensors: Iterable[Tensor]) -> bool:
    """A quick look, one reduction per tensor and one transfer to the host; it may doubt huge values that are finite."""
    return bool(get_total_norm(tensors).isfinite())


def _weights(gan: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return ((f"the weight {name}", value) for name, value in gan.state_dict().items())


def _first_broken(named: Iterable[tuple[str, Tensor]]) -> str | None:
    for name, values in named:
        broken = values[~values.isfinite()]
        if broken.numel():
            return f"{name} is {broken[0].item()}"
    return None
