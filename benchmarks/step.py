"""What a training step costs, beside the plain PyTorch loop that people write.

    python benchmarks/step.py data=mnist                       # the reports' four models
    python benchmarks/step.py model=dcgan,residual data=digits rounds=10

Takes the overrides of train.py. Three loops, each in a process of its own, alternate in one run, because machines are
noisy: compare the ratios, not the milliseconds.

(a) "plain": torchvision transforms on each image in a DataLoader, F.dropout, the optimizers' defaults, one backward
    for the reals and one for the fakes, and nothing recorded. It does the same arithmetic as (b): as many images of the
    same networks. It pays cross-entropy (and the classes' cross-entropy for ACGAN) whatever the objective is, which
    costs the same.
(b) this package's trainer in float32, its curves and checks included; on a GPU also with TF32.
(c) the same in bfloat16, unless the CPU emulates it.
"""

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import lightning as L
import numpy
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from PIL import Image
from stopwatch import Stopwatch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms
from typing_extensions import override

from gans.config.build import build, build_data, build_gan
from gans.config.resolve import resolve
from gans.config.schema import RunConfig
from gans.config.validate import validate
from gans.data.batches import Batch, ShuffledLoader
from gans.gan import GAN
from gans.machine import emulates_bfloat16, keep_freed_memory
from gans.models.cpu.layers import use_plain_layers
from gans.run.callbacks.curves import Curves
from gans.run.callbacks.metrics_logger import MetricsLogger
from gans.run.callbacks.progress import Progress
from gans.run.tensorboard import TensorBoard

MODELS = "dcgan,acgan,wgan,autoencoder"
STEPS = 100
WARM_UP = 10
"""Steps before the clock starts: a run's first make the optimizers' moments, and those after a pause fill caches."""
ONE_STEP = ("trainer.max_epochs=null", "trainer.max_steps=1")
CONF = Path(__file__).resolve().parent.parent / "conf"
PLAIN = "(a) plain"


class TimedBatches(ShuffledLoader):
    """The same batches; the time to make each is counted."""

    def __init__(self, batches: ShuffledLoader, watch: Stopwatch) -> None:
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
    """Seconds from the end of the warm-up to the end of training, everything between them included."""

    def __init__(self, warm_up: int, parts: list[Stopwatch]) -> None:
        self.warm_up = warm_up
        self.parts = parts

    @override
    def on_train_batch_start(self, trainer: L.Trainer, pl_module: GAN, batch: Batch, batch_idx: int) -> None:
        if pl_module.training_steps == self.warm_up:
            for part in self.parts:
                part.seconds = 0.0
            self.start = now()

    @override
    def on_train_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self.seconds = now() - self.start


class PerImage(Dataset[tuple[Tensor, int]]):
    """What torchvision's MNIST does for each image: to PIL, then the transforms."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        self.content, self.labels = pixels, labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(numpy.asarray(self.content[index, 0]), mode="L")
        return self.transform(image), int(self.labels[index])

    def __len__(self) -> int:
        return len(self.labels)


class PlainLoop:
    """Networks as people write them, and the loop around them."""

    def __init__(self, config: RunConfig) -> None:
        gan, data = build_gan(config), build_data(config)
        self.gan = as_people_write_it(gan).to(DEVICE)
        self.generator_optimizer, self.discriminator_optimizer = plain_optimizers(config, gan)
        self.loader = DataLoader(PerImage(*data.train_images), data.batch_size, shuffle=True, drop_last=True)
        self.random = torch.Generator().manual_seed(0)

    def loss(self, images: Tensor, labels: Tensor, target: float) -> Tensor:
        outputs = self.gan.discriminator(images)
        adversarial = F.binary_cross_entropy_with_logits(outputs[:, 0], torch.full_like(outputs[:, 0], target))
        return adversarial + F.cross_entropy(outputs[:, 1:], labels) if outputs.shape[1] > 1 else adversarial

    def run(self, steps: int) -> None:
        batches = self.batches()
        for _ in range(steps):
            self.step(*next(batches))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self.loader

    def step(self, real: Tensor, labels: Tensor) -> None:
        generator = self.gan.generator
        real, labels = real.to(DEVICE), labels.to(DEVICE)
        batch = Batch((real + 1) / 2 if generator.takes_images else real, labels)
        latents = generator.inputs(len(real), self.random, batch)
        with torch.no_grad():
            fake = generator.eval()(*(each.to(DEVICE) for each in latents.arguments))
        generator.train()
        self.discriminator_optimizer.zero_grad()
        self.loss(real, labels, 1.0).backward()
        self.loss(fake, latents.labels.to(DEVICE), 0.0).backward()
        self.discriminator_optimizer.step()

        latents = generator.inputs(len(real) * self.gan.generator_batches, self.random, batch)
        self.generator_optimizer.zero_grad()
        made = generator(*(each.to(DEVICE) for each in latents.arguments))
        self.loss(made, latents.labels.to(DEVICE), 1.0).backward()
        self.generator_optimizer.step()


def as_people_write_it(gan: GAN) -> GAN:
    """With PyTorch's layers and layout."""
    return use_plain_layers(gan).to(memory_format=torch.contiguous_format)


def plain_optimizers(config: RunConfig, gan: GAN) -> list[torch.optim.Optimizer]:
    """The config's optimizers, without what nobody types."""
    nodes = [config.model[f"{player}_optimizer"] for player in ("generator", "discriminator")]
    return [
        build(
            {key: value for key, value in node.items() if key not in ("fused", "_partial_")},
            "optimizer",
            params=weights,
        )
        for node, weights in zip(nodes, (gan.generator.parameters(), gan.discriminator.parameters()), strict=True)
    ]


DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Precision(NamedTuple):
    """The trainer's, the type that matrix products are timed in, and whether float32 may be TF32."""

    trainer: str
    dtype: torch.dtype
    tf32: bool = False


PRECISIONS = {
    "(b) float32": Precision("32-true", torch.float32),
    "(c) bfloat16": Precision("bf16-mixed", torch.bfloat16),
}
if EMULATED := emulates_bfloat16(DEVICE.type):
    del PRECISIONS["(c) bfloat16"]
if DEVICE.type == "cuda":
    PRECISIONS["(b) TF32"] = Precision("32-true", torch.float32, tf32=True)


def allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def now() -> float:
    """Seconds, once the device has done all that it was asked for."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter()


def quiet() -> None:
    """Leave the screen to the table."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def run_config(overrides: Sequence[str], budget: tuple[str, ...] = ONE_STEP) -> RunConfig:
    """The config of a command line of train.py, without validation images."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return validate(resolve(compose("config", overrides=[*overrides, "data.val_size=0", *budget])))


class Cost(NamedTuple):
    """Seconds a step, and of these, seconds for the data path and for measuring and logging."""

    step: float
    data: float = 0.0
    logging: float = 0.0


def time_package(
    config: RunConfig, precision: str, steps: int = STEPS, warm_up: int = WARM_UP, *, shown: bool = False
) -> Cost:
    """What a step of the real trainer costs, with its progress bar or without."""
    quiet()
    keep_freed_memory()
    data, gan = build_data(config), build_gan(config)
    data_watch, logging_watch = parts = [Stopwatch(), Stopwatch()]
    clock = WallClock(warm_up, parts)
    data.train_batches = TimedBatches(data.train_batches, data_watch)
    with tempfile.TemporaryDirectory() as folder:
        loggers = [MetricsLogger(Path(folder) / "metrics.csv"), TensorBoard(Path(folder) / "tensorboard")]
        curves = Curves(config.log_every)
        for owner, name in ((gan, "measure"), (gan.means, "add"), (curves, "on_train_batch_end")):
            logging_watch.wrap(owner, name)
        callbacks = [curves, clock, *([Progress(curves)] if shown else [])]
        options = {"callbacks": callbacks, "logger": loggers}
        trainer = config.trainer | {"precision": precision, "max_steps": warm_up + steps}
        build(trainer, "trainer", **options).fit(gan, datamodule=data)
    return Cost(clock.seconds / steps, data_watch.seconds / steps, logging_watch.seconds / steps)


@cache
def plain_loop(config: str) -> PlainLoop:
    return PlainLoop(RunConfig.model_validate_json(config))


def time_plain(config: str) -> Cost:
    loop = plain_loop(config)
    loop.run(WARM_UP)
    start = now()
    loop.run(STEPS)
    return Cost((now() - start) / STEPS)


def arithmetic(config: RunConfig) -> float:
    """The floating-point operations of a step's matrix products and convolutions, in units of 10^9."""
    with FlopCounterMode(display=False) as counter:
        time_package(config, "32-true", steps=1, warm_up=0)
    return counter.get_total_flops() / 1e9


def matrix_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """10^9 floating-point operations a second in a product of large matrices, the best of ten."""
    left, right = (torch.randn(size, size, device=DEVICE).to(dtype) for _ in range(2))

    def seconds() -> float:
        start = now()
        left @ right
        return now() - start

    return 2 * size**3 / min(seconds() for _ in range(10)) / 1e9


def process(threads: int | None = None) -> ProcessPoolExecutor:
    """A process of its own, as a loop has in practice: allocators and caches are not shared."""
    threads = threads or torch.get_num_threads()
    return ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,))


def compare(model: str, overrides: list[str], rounds: int) -> list[str]:
    """The rows of one model."""
    config = run_config([f"model={model}", *overrides])
    ways: dict[str, Callable[[], Cost]] = {PLAIN: partial(time_plain, config.model_dump_json())}
    ways |= {name: partial(time_package, config, precision.trainer) for name, precision in PRECISIONS.items()}
    dtypes = {PLAIN: torch.float32} | {name: precision.dtype for name, precision in PRECISIONS.items()}
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        # the plain loop's process must not be one that has kept freed memory, as the package's trainer has it do
        operations = stack.enter_context(process()).submit(arithmetic, config).result()
        processes = {name: stack.enter_context(process()) for name in ways}
        for name, precision in PRECISIONS.items():
            processes[name].submit(allow_tf32, precision.tf32).result()
        for turn in range(rounds + 1):
            for name, way in ways.items():
                cost = processes[name].submit(way).result()
                rate = processes[name].submit(matrix_rate, dtypes[name]).result()
                if turn > 0:  # the first is a warm-up
                    costs[name].append(cost)
                    rates[name].append(rate)

    rows = []
    for name, found in costs.items():
        ratios = [plain_one.step / one.step for plain_one, one in zip(costs[PLAIN], found, strict=True)]
        step, data, logging = (median(part) for part in zip(*found, strict=True))
        share = operations / step / median(rates[name])
        cells = [
            f"{model}, batch {config.data['batch_size']}",
            name,
            f"{1000 * step:.1f}",
            f"{config.data['batch_size'] / step:,.0f}",
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{share:.0%}",
            "" if name == PLAIN else f"{data / step:.1%}, {logging / step:.1%}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def asked(arguments: list[str]) -> tuple[list[str], int, list[str]]:
    """The models, how many rounds, and overrides for all of them."""
    options = {name: value for name, _, value in (each.partition("=") for each in arguments)}
    others = [each for each in arguments if each.partition("=")[0] not in ("model", "rounds")]
    return options.get("model", MODELS).split(","), int(options.get("rounds", 5)), others


def main(arguments: list[str]) -> None:
    quiet()
    models, rounds, overrides = asked(arguments)
    device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{device}; medians of {rounds} interleaved rounds of {STEPS} steps")
    if EMULATED:
        print("(c) is left out: this CPU emulates bfloat16")
    print("| | loop | ms a step | images/s | times (a), lowest to highest | of the matrix rate | data, logging |")
    print("|---|---|---|---|---|---|---|")
    for model in models:
        print("\n".join(compare(model, overrides, rounds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
