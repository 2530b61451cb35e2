"""Lightning's Trainer with a budget in training steps. A step updates each player once.

This is the only file that uses private parts of Lightning: its loop, because nothing else can run the end of an epoch
again, and the loop's state in checkpoints, which includes the progress of an evaluation.
"""

import os
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from pydantic import PositiveInt

# Lightning sets it to make the check for GPUs safe before a fork, but slower. Nothing forks here, and every optimizer
# step runs the check.
os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


class StopAtStep(Callback):
    """Ends training after a number of training steps. Lightning's ``max_steps`` counts optimizer steps."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = pl_module.training_steps >= self.max_steps

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if pl_module.training_steps >= self.max_steps:
            trainer.should_stop = True


class EndOfEpoch(Callback):
    """Runs the end of an epoch when a run resumes from the epoch's last step.

    Checkpoints are saved before validation, but Lightning treats such an epoch as finished.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(trainer, Trainer)
        step = pl_module.training_steps
        if step == 0 or not trainer.ends_epoch(step):
            return
        if trainer.validates_after(step):
            loop = trainer.fit_loop.epoch_loop.val_loop
            trainer.validating = True
            loop.run()
            trainer.training = True
        for callback in trainer.callbacks:
            callback.on_train_epoch_end(trainer, pl_module)
        trainer.fit_loop.reset_restart_stage()  # else Lightning treats the next epoch as restarted


def drop_validation_progress(checkpoint: dict[str, Any]) -> None:
    """Remove the progress of an evaluation from a checkpoint: a resumed run starts the evaluation again."""
    loops = checkpoint["loops"]["fit_loop"]
    for name in [name for name in loops if name.startswith("epoch_loop.val_loop")]:
        del loops[name]


class Trainer(L.Trainer):
    """A Trainer for ``max_epochs`` epochs or ``max_steps`` training steps, whichever comes first.

    The other options are the options of Lightning's Trainer that make sense for two players on one device.
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
        # Lightning reads it from variables such as SLURM_PROCID, which say nothing of a run on one device
        rank_zero_only.rank = 0
        self.max_training_steps = max_steps
        budget = [] if max_steps is None else [StopAtStep(max_steps)]
        super().__init__(
            max_epochs=max_epochs or -1,
            accelerator=accelerator,
            devices=devices,
            precision=precision,
            check_val_every_n_epoch=check_val_every_n_epoch,
            callbacks=[*(callbacks or []), *budget, EndOfEpoch()],
            logger=logger,
            plugins=[*(plugins or []), LightningEnvironment()],  # even in a SLURM job: Interrupt handles its signals
            enable_checkpointing=False,  # the callback Checkpoints saves them
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,
        )

    @property
    def planned_steps(self) -> int:
        """The budget in training steps; available once training has started."""
        budgets = [self.max_training_steps] if self.max_training_steps else []
        if self.max_epochs != -1:
            budgets.append(self.max_epochs * int(self.num_training_batches))
        return min(budgets)

    def ends_epoch(self, step: int) -> bool:
        """Whether a training step, counted from 1, is the last of its epoch or of training."""
        return step % int(self.num_training_batches) == 0 or step >= self.planned_steps

    def validates_after(self, step: int) -> bool:
        """Whether a validation follows a training step, counted from 1."""
        assert self.check_val_every_n_epoch is not None
        epoch = (step - 1) // int(self.num_training_batches) + 1
        return self.enable_validation and self.ends_epoch(step) and epoch % self.check_val_every_n_epoch == 0
