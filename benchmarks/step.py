"""What a training step costs, beside a plain PyTorch loop with the same networks.

    python benchmarks/step.py model=dcgan data=digits

Takes the overrides of train.py. Rounds of both loops alternate in one run, because machines are noisy: compare the
ratios, not the milliseconds. The plain loop gets ready-made batches and records nothing; it trains on cross-entropy
(and the classes' cross-entropy for ACGAN) whatever the objective is, which costs the same.
"""

import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from stopwatch import Stopwatch
from torch import Tensor
from typing_extensions import override

from gans.building import build, build_data, build_gan
from gans.callbacks.curves import Curves
from gans.cli import quiet
from gans.data.batches import Batch, Shuffled
from gans.gan import GAN
from gans.metrics_file import MetricsFile
from gans.options import plain
from gans.settings import validate

ROUNDS = 6
STEPS = 20
CONF = Path(__file__).resolve().parent.parent / "conf"


class TimedBatches(Shuffled):
    """The same batches; the time to make each is counted."""

    def __init__(self, batches: Shuffled, watch: Stopwatch) -> None:
        super().__init__(batches.images, batches.batch_size, batches.seed, replacement=batches.replacement)
        self.watch = watch

    def __iter__(self) -> Iterator[Batch]:
        batches = super().__iter__()
        while True:
            start = perf_counter()
            batch = next(batches, None)
            self.watch.seconds += perf_counter() - start
            if batch is None:
                return
            yield batch


class WallClock(Callback):
    """Seconds from the first step to the last, everything between them included."""

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self.start = perf_counter()

    @override
    def on_train_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self.seconds = perf_counter() - self.start


def plain_loop(gan: GAN, batches: list[Batch], *, separate: bool) -> None:
    """The loop that people write: two optimizers, two losses, nothing else."""
    generator, discriminator = gan.generator, gan.discriminator
    generator_optimizer, discriminator_optimizer = gan.configure_optimizers()
    random = torch.Generator().manual_seed(0)

    def loss(images: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        outputs = discriminator(images)
        adversarial = F.binary_cross_entropy_with_logits(outputs[:, 0], targets)
        return adversarial + F.cross_entropy(outputs[:, 1:], labels) if outputs.shape[1] > 1 else adversarial

    for batch in batches:
        real = 2 * batch.images - 1
        count = len(real)
        inputs = generator.inputs(count, random, batch)
        with torch.no_grad():
            fake = generator.eval()(*inputs.arguments)
        generator.train()
        ones, zeros = torch.ones(count), torch.zeros(count)
        shown = [
            (real, batch.labels, ones),
            (fake, inputs.labels, zeros),
        ]
        joined = [tuple(torch.cat(pair) for pair in zip(*reversed(shown), strict=True))]
        for images, labels, targets in shown if separate else joined:
            discriminator_optimizer.zero_grad()
            loss(images, labels, targets).backward()
            discriminator_optimizer.step()

        inputs = generator.inputs(count * gan.generator_batches, random, batch)
        discriminator.requires_grad_(False)
        generator_optimizer.zero_grad()
        loss(generator(*inputs.arguments), inputs.labels, torch.ones(len(inputs.labels))).backward()
        generator_optimizer.step()
        discriminator.requires_grad_(True)


def main(overrides: list[str]) -> None:
    quiet()
    budget = ["trainer.max_epochs=null", f"trainer.max_steps={STEPS}", "data.val_size=0"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = plain(compose("config", overrides=[*overrides, *budget]))
    validate(config)
    ours: list[float] = []
    theirs: list[float] = []
    data_shares: list[float] = []
    logging_shares: list[float] = []
    for round_index in range(ROUNDS + 1):
        theirs.append(time_plain_loop(config))
        step, data, logging = time_package(config)
        ours.append(step)
        data_shares.append(data / step)
        logging_shares.append(logging / step)
        if round_index == 0:  # warm-up
            for figures in (ours, theirs, data_shares, logging_shares):
                figures.clear()

    images = config["data"]["batch_size"]
    model = config["model"]["_target_"].rpartition(".")[2]
    print(f"{model}, batch {images}, {torch.get_num_threads()} threads; medians of {ROUNDS} rounds of {STEPS} steps")
    for label, times in (("plain PyTorch loop", theirs), ("this package", ours)):
        print(f"  {label:<20}{1000 * median(times):8.1f} ms a step{images / median(times):10,.0f} images/s")
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(f"  step time, this package / plain loop: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"  of a step: data path {median(data_shares):.2%}, logging {median(logging_shares):.2%}")


def time_plain_loop(config: dict[str, Any]) -> float:
    """Seconds a step, with batches made beforehand."""
    data, gan = build_data(config), build_gan(config)
    batches = list(islice(_forever(data.train_batches), STEPS))
    start = perf_counter()
    plain_loop(gan, batches, separate=config["model"]["discriminator_updates"] == "alternating")
    return (perf_counter() - start) / STEPS


def time_package(config: dict[str, Any]) -> tuple[float, float, float]:
    """Seconds a step of the real trainer, and of these, seconds for the data path and for measuring and logging."""
    data, gan = build_data(config), build_gan(config)
    data_watch, logging_watch, clock = Stopwatch(), Stopwatch(), WallClock()
    data.train_batches = TimedBatches(data.train_batches, data_watch)
    with tempfile.TemporaryDirectory() as folder:
        loggers = [MetricsFile(Path(folder) / "metrics.csv"), TensorBoardLogger(folder, default_hp_metric=False)]
        curves = Curves(config["log_every"])
        for owner, name in ((gan, "measure"), (gan.means, "add"), (curves, "on_train_batch_end")):
            logging_watch.wrap(owner, name)
        options = {"callbacks": [curves, clock], "logger": loggers}
        build(config["trainer"], "trainer", **options).fit(gan, datamodule=data)
    return clock.seconds / STEPS, data_watch.seconds / STEPS, logging_watch.seconds / STEPS


def _forever(loader: Shuffled) -> Iterator[Batch]:
    while True:
        yield from loader


if __name__ == "__main__":
    main(sys.argv[1:])
