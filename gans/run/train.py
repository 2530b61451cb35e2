"""Training, with callbacks and loggers that write the run folder."""

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from gans.config.build import RunComponents, build
from gans.config.schema import RunConfig
from gans.data.source import Source
from gans.errors import warn
from gans.gan import GAN
from gans.machine import emulates_bfloat16
from gans.run.callbacks.curves import Curves
from gans.run.callbacks.evaluation import Evaluation
from gans.run.callbacks.interrupt import Interrupt
from gans.run.callbacks.landscape import Landscape
from gans.run.callbacks.metrics_logger import MetricsLogger
from gans.run.callbacks.progress import Progress
from gans.run.callbacks.provenance import Provenance, device_name
from gans.run.callbacks.samples import Samples
from gans.run.checkpoint_files import VerifiedCheckpointIO, newest_whole
from gans.run.folder import RunFolder
from gans.run.network_summary import parameter_count
from gans.run.tensorboard import TensorBoard


def train(run: RunFolder, config: RunConfig, components: RunComponents, interrupt: Interrupt) -> L.Trainer:
    """Train to the end of the budget, from the last checkpoint if there is one. Returns the trainer, for the test."""
    trainer = make_trainer(run, config, components, interrupt)
    print(f"{run.name}: {headline(trainer, components.data, components.gan)}", flush=True)
    if trainer.precision == "bf16-mixed" and emulates_bfloat16(trainer.strategy.root_device.type):
        warn("this CPU emulates bfloat16 (x86 needs AVX-512): trainer.precision=32-true is far faster")
    if components.best_by is None and config.metric:
        needs = "metric=[fid,...], computed during training, and enough validation images"
        print(f"no best checkpoint will be saved: that needs {needs}")
    checkpoint = newest_whole(run.checkpoints, "last")
    trainer.fit(components.gan, datamodule=components.data, ckpt_path=checkpoint)
    return trainer


def make_trainer(run: RunFolder, config: RunConfig, components: RunComponents, interrupt: Interrupt) -> L.Trainer:
    loggers: list[Logger] = [
        TensorBoard(run.tensorboard),
        MetricsLogger(run.metrics_file),
    ]
    curves = Curves(config.log_every)
    callbacks: list[Callback] = [
        *make_evaluation(run, components),  # before the curves and the best checkpoint, which use its metrics
        curves,
        Progress(curves),
        make_samples(run, config, components.data),
        Provenance(run, config),
        interrupt.checkpoints,
        interrupt,
    ]
    plugins = [VerifiedCheckpointIO()]
    return build(config.trainer, "trainer", callbacks=callbacks, logger=loggers, plugins=plugins)


def make_tester(run: RunFolder, config: RunConfig, components: RunComponents, interrupt: Interrupt) -> L.Trainer:
    """A trainer that only tests."""
    callbacks = [
        make_samples(run, config, components.data),
        *make_evaluation(run, components),
        Progress(Curves(config.log_every)),
        interrupt,
    ]
    return build(config.trainer, "trainer", callbacks=callbacks, logger=False, plugins=[VerifiedCheckpointIO()])


def make_samples(run: RunFolder, config: RunConfig, data: Source) -> Samples:
    kind = Samples if data.extent is None else Landscape
    return kind(run, **config.samples.model_dump())


def make_evaluation(run: RunFolder, components: RunComponents) -> list[Callback]:
    evaluator = components.evaluator
    return [Evaluation(evaluator, run, components.sampling)] if evaluator else []


def headline(trainer: L.Trainer, data: Source, gan: GAN) -> str:
    """Device, precision, data and network sizes in one line."""
    counts = {name: len(images.labels) for name, images in data.subsets.items()}
    return (
        f"{type(gan).__name__} on {device_name(trainer)}, {trainer.precision}: "
        f"{counts['train']:,} training, {counts['val']:,} validation and {counts['test']:,} test images; "
        f"{parameter_count(gan.generator):,} parameters in the generator, {parameter_count(gan.discriminator):,} "
        "in the discriminator"
    )
