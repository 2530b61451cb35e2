"""One progress bar over the whole run."""

import sys
from time import monotonic
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm
from typing_extensions import override

from gans.data.batches import Batch
from gans.gan import GAN
from gans.run.callbacks.curves import Curves
from gans.run.trainer import Trainer

SHOWN = {"D loss": "discriminator_loss", "G loss": "generator_loss", "D accuracy": "discriminator_accuracy"}

line_on_screen: int | None = None
"""Which line of the screen is for this process's bar, counted from 0, where processes share the screen."""


class Progress(Callback):
    """Images per second, time left, and the latest point of the curves that a person watches.

    Args:
        name: of the run, shown where its bar is one of several.
    """

    def __init__(self, curves: Curves, name: str) -> None:
        self.curves = curves
        self.name = name
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        images_per_step = trainer.datamodule.batch_size
        self.bar = tqdm(
            desc=self.name if line_on_screen is not None else None,
            total=trainer.planned_steps * images_per_step,
            initial=pl_module.training_steps * images_per_step,
            unit="img",
            unit_scale=True,
            bar_format="{l_bar}{bar:20}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left, {rate_fmt}{postfix}]",
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,  # a line every ten seconds in a log
            position=line_on_screen,
        )
        self.shown_at = monotonic()

    @override
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, outputs: Any, batch: Batch, *_: Any) -> None:
        if self.bar is None:
            return
        if self.curves.latest and monotonic() - self.shown_at >= self.bar.mininterval:
            self.shown_at = monotonic()
            latest = self.curves.latest
            shown = {label: f"{latest[name]:.3f}" for label, name in SHOWN.items() if name in latest}
            epoch = pl_module.training_steps / trainer.num_training_batches
            self.bar.set_postfix({"epoch": f"{epoch:.1f}", **shown}, refresh=False)
        self.bar.update(len(batch.images))

    @override
    def on_train_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._close()

    @override
    def on_exception(self, trainer: L.Trainer, pl_module: GAN, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
