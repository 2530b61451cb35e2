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
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from stopwatch import Stopwatch
from typing_extensions import override

import gans.gan
from gans.config.build import build, build_data, build_gan, validate
from gans.run.callbacks.checkpoints import Checkpoints
from gans.run.callbacks.curves import Curves
from gans.run.checkpoint_files import CheckedCheckpoints
from gans.config.command_line import quiet
from gans.gan import GAN
from gans.run.metrics_file import MetricsFile
from gans.config.resolve import plain

SECONDS = 130
CONF = Path(__file__).resolve().parent.parent / "conf"


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
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = plain(compose("config", overrides=[*overrides, "trainer.max_epochs=100000", "trainer.max_steps=null"]))
    validate(config)
    data, gan, until = build_data(config | {"data": config["data"] | {"val_size": 0}}), build_gan(config), Until()
    checks, saves = Stopwatch(), Stopwatch()
    checks.wrap(gans.gan, "require_finite")
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), config, None, **config["checkpoint"])
        saves.wrap(checkpoints, "on_train_batch_end")
        saved = Stopwatch()
        saved.wrap(checkpoints, "on_save_checkpoint")
        build(
            config["trainer"],
            "trainer",
            callbacks=[Curves(config["log_every"]), checkpoints, until],
            logger=[MetricsFile(Path(folder) / "metrics.csv")],
            plugins=[CheckedCheckpoints()],
        ).fit(gan, datamodule=data)
    steps = gan.training_steps
    print(f"{steps:,} steps of {1000 * until.seconds / steps:.1f} ms, {torch.get_num_threads()} threads")
    print(f"  finite checks {checks.seconds / until.seconds:.2%}")
    print(f"  checkpoints   {saves.seconds / until.seconds:.2%}, {saved.calls} of them")
    print(f"  together      {(checks.seconds + saves.seconds) / until.seconds:.2%}")


if __name__ == "__main__":
    main(sys.argv[1:])
