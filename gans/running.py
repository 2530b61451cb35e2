"""One run, from a resolved config to its figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import OmegaConf

from gans.building import build, build_data, build_gan
from gans.callbacks.curves import Curves
from gans.callbacks.interrupt import Interrupt
from gans.callbacks.progress import Progress
from gans.callbacks.record import Record, device_name
from gans.callbacks.samples import Samples
from gans.data.images import ImageData
from gans.errors import InputError, InterruptedTraining
from gans.exporting import read_checkpoint
from gans.figures import draw_figures
from gans.gan import GAN
from gans.metrics_file import MetricsFile
from gans.run import Run, new_folder, run_name, write_text
from gans.settings import validate
from gans.summary import parameter_count


def start_run(config: dict[str, Any], choices: Mapping[str, str]) -> Run:
    """Train, test and draw what the config describes, in a new run folder; nothing is written before all is checked.

    Args:
        config: resolved, plain values.
        choices: the option chosen in each config group, to name the run by.
    """
    validate(config)
    data, gan = build_data(config), build_gan(config)
    build(config["trainer"], "trainer", logger=False)
    folder = new_folder(Path(config["runs"]), run_name(choices, config))
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    return train_and_test(Run(folder), data, gan)


def resume_run(folder: Path) -> Run:
    """Go on with a run from its last checkpoint, with the run's own config."""
    run = Run(folder)
    validate(run.config)
    if not run.last_checkpoint.is_file():
        raise InputError(f"'{folder}' has no checkpoint to go on from: it stopped before its first one")
    steps = read_checkpoint(run.last_checkpoint)["training_steps"]
    return train_and_test(run, build_data(run.config), build_gan(run.config), from_step=steps)


def train_and_test(run: Run, data: ImageData, gan: GAN, from_step: int = 0) -> Run:
    trainer = run_trainer(run, gan, from_step)
    print(headline(trainer, data, gan), flush=True)
    try:
        trainer.fit(gan, datamodule=data, ckpt_path=run.last_checkpoint if from_step else None)
    except InterruptedTraining as stop:
        raise InterruptedTraining(f"{stop}. Go on with: python train.py resume={run.path}") from None
    trainer.test(gan, datamodule=data, verbose=False)
    for logger in trainer.loggers:
        logger.finalize("success")
    print(f"test: {described(trainer)}")
    print(f"figures: {len(draw_figures(run))} files in {run.figures}")
    return run


def run_trainer(run: Run, gan: GAN, from_step: int) -> L.Trainer:
    """A trainer whose callbacks and loggers write the run folder."""
    config = run.config
    tensorboard = TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False)
    metrics_file = MetricsFile(run.path / "metrics.csv", from_step)
    checkpoints = {"dirpath": run.last_checkpoint.parent, "enable_version_counter": False}
    curves = Curves(config["log_every"])
    callbacks = [
        curves,
        Progress(curves),
        Samples(run.path / "samples", **config["samples"]),
        Record(run.path, config),
        ModelCheckpoint(**checkpoints, filename="last", save_on_train_epoch_end=True),
        Interrupt(run.last_checkpoint),
    ]
    if config["data"]["val_size"]:
        callbacks.append(ModelCheckpoint(**checkpoints, filename="best", monitor=f"val/{gan.best_by}"))
    return build(config["trainer"], "trainer", callbacks=callbacks, logger=[tensorboard, metrics_file])


def headline(trainer: L.Trainer, data: ImageData, gan: GAN) -> str:
    """What runs where, in one line."""
    counts = {name: len(images.labels) for name, images in data.subsets.items()}
    return (
        f"{type(gan).__name__} on {device_name(trainer)}, {trainer.precision}: "
        f"{counts['train']:,} training, {counts['val']:,} validation and {counts['test']:,} test images; "
        f"{parameter_count(gan.generator):,} parameters in the generator, {parameter_count(gan.discriminator):,} "
        "in the discriminator"
    )


def described(trainer: L.Trainer) -> str:
    results = {name: float(value) for name, value in trainer.callback_metrics.items() if "_class_" not in name}
    return ", ".join(f"{name.removeprefix('test/')} {value:.4f}" for name, value in results.items())
