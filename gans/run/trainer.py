"""Lightning's Trainer with budgets in training steps, one step being one update of each player.

This is the only file that touches what Lightning keeps to itself. Its loop is private: an epoch's end can't be run again
by any other means, and its checkpoints hold how far an evaluation was.
"""

import os
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.io import CheckpointIO
from pydantic import PositiveInt

# Lightning has PyTorch open the driver's library to see whether there is a GPU, which is safe before a fork. Nothing
# forks here, and optimizers look in every step.
os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


class StopAtStep(Callback):
    """Ends training after a number of training steps. Lightning's own ``max_steps`` counts each optimizer's steps."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = pl_module.training_steps >= self.max_steps

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if pl_module.training_steps >= self.max_steps:
            trainer.should_stop = True


class EndOfEpoch(Callback):
    """Does what ends an epoch in a run that goes on from the state after the epoch's last step.

    Lightning takes such an epoch for ended. Here a checkpoint is the state after a step, and nothing that follows.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(trainer, Trainer)
        step = pl_module.training_steps
        if step == 0 or not trainer.ends_epoch(step):
            return
        epoch = (step - 1) // trainer.num_training_batches + 1
        if trainer.enable_validation and epoch % trainer.check_val_every_n_epoch == 0:
            loop = trainer.fit_loop.epoch_loop.val_loop
            trainer.validating = True
            loop.run()
            trainer.training = True
        for callback in trainer.callbacks:
            callback.on_train_epoch_end(trainer, pl_module)
        trainer.fit_loop.reset_restart_stage()  # the next epoch is no restarted one


def drop_validation_progress(checkpoint: dict[str, Any]) -> None:
    """Remove how far an evaluation is from a checkpoint: it is no state of training, and a resumed run evaluates anew."""
    loops = checkpoint["loops"]["fit_loop"]
    for name in [name for name in loops if name.startswith("epoch_loop.val_loop")]:
        del loops[name]


class Trainer(L.Trainer):
    """A Trainer for ``max_epochs`` epochs or ``max_steps`` training steps, whichever comes first.

    The other options are Lightning's, those of them that make sense for two players on one device.
    """

    def __init__(
        self,
        max_epochs: PositiveInt | None = None,
        max_steps: PositiveInt | None = None,
        accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto",
        devices: Literal[1] = 1,
        precision: Literal["32-true", "bf16-mixed"] = "32-true",
        check_val_every_n_epoch: PositiveInt = 2,
        callbacks: list[Callback] | None = None,
        logger: list[Logger] | bool = False,
        plugins: list[CheckpointIO] | None = None,
    ) -> None:
        self.training_step_budget = max_steps
        budget = [] if max_steps is None else [StopAtStep(max_steps)]
        environment = LightningEnvironment()  # one process, whatever a cluster's scheduler says; see Interrupt
        super().__init__(
            max_epochs=max_epochs or -1,
            accelerator=accelerator,
            devices=devices,
            precision=precision,
            check_val_every_n_epoch=check_val_every_n_epoch,
            callbacks=[*(callbacks or []), *budget, EndOfEpoch()],
            logger=logger,
            plugins=[*(plugins or []), environment],
            enable_checkpointing=False,  # Checkpoints writes them
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,
        )

    @property
    def planned_steps(self) -> int:
        """How many training steps the budget allows; known once training has started."""
        budgets = [self.training_step_budget] if self.training_step_budget else []
        if self.max_epochs != -1:
            budgets.append(self.max_epochs * int(self.num_training_batches))
        return min(budgets)

    def ends_epoch(self, step: int) -> bool:
        """Whether a training step, counted from 1, is the last of its epoch or of training."""
        return step % int(self.num_training_batches) == 0 or step >= self.planned_steps
