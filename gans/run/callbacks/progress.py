"""A progress bar of the training, and of the losses of all test images."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gans.data.batches import Batch
from gans.data.progress import ProgressBar
from gans.gan import GAN
from gans.run.callbacks.curves import Curves
from gans.run.trainer import Trainer

SHOWN = {"D loss": "discriminator_loss", "G loss": "generator_loss", "D accuracy": "discriminator_accuracy"}


class Progress(Callback):
    """Shows samples per second, the time left, and the latest losses and accuracy."""

    def __init__(self, curves: Curves) -> None:
        self.curves = curves
        self.bar: ProgressBar | None = None

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        images_per_step = trainer.datamodule.batch_size
        self.bar = ProgressBar(
            "training",
            trainer.planned_steps * images_per_step,
            " samples",
            done=pl_module.training_steps * images_per_step,
            keep=True,
            form="{l_bar}{bar:20}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left, {rate_fmt}{postfix}]",
        )
        self.bar.__enter__()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, outputs: Any, batch: Batch, *_: Any) -> None:
        if self.bar is None:
            return
        if self.curves.latest and self.bar.is_due:
            latest = self.curves.latest
            shown = {label: f"{latest[name]:.3f}" for label, name in SHOWN.items() if name in latest}
            epoch = pl_module.training_steps / trainer.num_training_batches
            self.bar.note(epoch=f"{epoch:.1f}", **shown)
        self.bar.update(len(batch.images))

    def on_test_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.bar = ProgressBar("losses of all test images", int(sum(trainer.num_test_batches)), "batches")
        self.bar.__enter__()

    def on_test_batch_end(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.update()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def on_test_end(self, *_: Any) -> None:
        self._close()

    def on_train_end(self, *_: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.__exit__()
            self.bar = None
