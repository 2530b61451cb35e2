"""Lightning's Trainer with budgets in training steps, one step being one update of each player."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from pydantic import PositiveInt

from gans.errors import InputError


class StopAtStep(Callback):
    """Ends training after a number of training steps. Lightning's own ``max_steps`` counts each optimizer's steps."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = pl_module.training_steps >= self.max_steps

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if pl_module.training_steps >= self.max_steps:
            trainer.should_stop = True


class Trainer(L.Trainer):
    """A Trainer for ``max_epochs`` epochs or ``max_steps`` training steps, whichever comes first.

    The other options are Lightning's.

    Raises:
        InputError: where neither is given.
    """

    def __init__(
        self,
        max_epochs: PositiveInt | None = None,
        max_steps: PositiveInt | None = None,
        callbacks: list[Callback] | None = None,
        **options: Any,
    ) -> None:
        if max_epochs is None and max_steps is None:
            raise InputError("how long to train? give trainer.max_epochs or trainer.max_steps")
        self.training_step_budget = max_steps
        budget = [] if max_steps is None else [StopAtStep(max_steps)]
        super().__init__(max_epochs=max_epochs or -1, callbacks=[*(callbacks or []), *budget], **options)

    @property
    def planned_steps(self) -> int:
        """How many training steps the budget allows; known once training has started."""
        budgets = [self.training_step_budget] if self.training_step_budget else []
        if self.max_epochs != -1:
            budgets.append(self.max_epochs * int(self.num_training_batches))
        return min(budgets)
