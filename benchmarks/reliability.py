"""What it costs that a run can't be lost: finite checks and checkpoints, as a share of training time.

    python benchmarks/reliability.py model=dcgan data=digits

Takes the overrides of train.py. A real run of at least two minutes with the default intervals, its timer included;
evaluation is left out, so that the share is of steps alone.
"""

import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from step import quiet, run_config
from stopwatch import Stopwatch
from typing_extensions import override

from gans.config.build import build, build_data, build_gan
from gans.gan import GAN
from gans.run.callbacks.checkpoints import Checkpoints
from gans.run.callbacks.curves import Curves
from gans.run.callbacks.metrics_logger import MetricsLogger
from gans.run.checkpoint_files import VerifiedCheckpointIO
from gans.run.folder import RunFolder

SECONDS = 130


class Until(Callback):
    """Ends training after so many seconds, and knows how long it took."""

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self.start = perf_counter()

    @override
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: Any) -> None:
        self.seconds = perf_counter() - self.start
        trainer.should_stop = self.seconds >= SECONDS


def main(overrides: list[str]) -> None:
    quiet()
    config = run_config(overrides, budget=("trainer.max_epochs=100000", "trainer.max_steps=null"))
    data, gan, until = build_data(config), build_gan(config), Until()
    checks, saves, saved = Stopwatch(), Stopwatch(), Stopwatch()
    checks.wrap(gan.non_finite_detector, "check")
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder), config.model_dump())
        checkpoints = Checkpoints(run, config, best_by=None)
        saves.wrap(checkpoints, "on_train_batch_end")
        saved.wrap(checkpoints, "on_save_checkpoint")
        build(
            config.trainer,
            "trainer",
            callbacks=[Curves(config.log_every), checkpoints, until],
            logger=[MetricsLogger(run.metrics_file)],
            plugins=[VerifiedCheckpointIO()],
        ).fit(gan, datamodule=data)
    steps = gan.training_steps
    print(f"{steps:,} steps of {1000 * until.seconds / steps:.1f} ms, {torch.get_num_threads()} threads")
    print(f"  finite checks {checks.seconds / until.seconds:.2%}")
    print(f"  checkpoints   {saves.seconds / until.seconds:.2%}, {saved.calls} of them")
    print(f"  together      {(checks.seconds + saves.seconds) / until.seconds:.2%}")


if __name__ == "__main__":
    main(sys.argv[1:])
