"""One run, from a resolved config to its figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import OmegaConf

from gans.building import build, build_data, build_gan, build_metrics
from gans.callbacks.curves import Curves
from gans.callbacks.evaluation import Evaluation
from gans.callbacks.interrupt import Interrupt
from gans.callbacks.progress import Progress
from gans.callbacks.record import Record, device_name
from gans.callbacks.samples import Samples
from gans.checkpoints import CheckedCheckpoints, mend
from gans.data.images import ImageData
from gans.errors import InputError, InterruptedTraining, TrainingError
from gans.exporting import read_checkpoint
from gans.features.files import load_features
from gans.files import write_text
from gans.gan import GAN
from gans.metrics.evaluator import Evaluator
from gans.metrics_file import MetricsFile
from gans.run import Run, new_folder, run_name
from gans.settings import validate
from gans.summary import parameter_count
from gans.testing import conclude, test_checkpoints


def start_run(config: dict[str, Any], choices: Mapping[str, str]) -> Run:
    """Train, test and draw what the config describes, in a new run folder; nothing is written before all is checked.

    Args:
        config: resolved, plain values.
        choices: the option chosen in each config group, to name the run by.
    """
    parts = Parts(config)
    folder = new_folder(Path(config["runs"]), run_name(choices, config))
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    return train_and_test(Run(folder), parts)


def resume_run(folder: Path) -> Run:
    """Go on with a run from its last checkpoint, with the run's own config."""
    run = Run(folder)
    steps = trained_steps(run)
    return train_and_test(run, Parts(run.config), from_step=steps)


def test_run(folder: Path) -> Run:
    """Test a run again, without training: new test.json, verdict.json and figures; the rest stays as it is."""
    run = Run(folder)
    trained_steps(run)
    parts = Parts(run.config)
    callbacks = [samples_of(run), *evaluation_of(run, parts)]
    trainer = build(run.config["trainer"], "trainer", callbacks=callbacks, logger=False, plugins=[CheckedCheckpoints()])
    test_checkpoints(run, trainer, parts.data, parts.gan)
    conclude(run)
    return run


class Parts:
    """What a run is made of, checked and built from its config."""

    def __init__(self, config: dict[str, Any]) -> None:
        validate(config)
        build(config["trainer"], "trainer", logger=False)
        self.data = build_data(config)
        self.gan = build_gan(config)
        metrics, most = build_metrics(config), config["evaluated_images"]
        self.evaluator = Evaluator(metrics, load_features(self.data.source), self.data, most) if metrics else None

    @property
    def best_by(self) -> str | None:
        """The validation figure that the best checkpoint minimizes; None where it can't be computed."""
        name = self.evaluator.name("fid", "val") if self.evaluator else None
        return f"val/{name}" if name else None


def train_and_test(run: Run, parts: Parts, from_step: int = 0) -> Run:
    trainer = run_trainer(run, parts, from_step)
    print(headline(trainer, parts.data, parts.gan), flush=True)
    if parts.best_by is None:
        print("no best checkpoint will be chosen: that takes metric=[fid,...] and enough validation images", flush=True)
    try:
        trainer.fit(parts.gan, datamodule=parts.data, ckpt_path=run.last_checkpoint if from_step else None)
    except InterruptedTraining as stop:
        message = f"{stop}. Go on with: python train.py resume={run.path}"
        raise InterruptedTraining(message, stop.signal_number) from None
    except TrainingError:
        conclude(run)
        raise
    except OSError as error:
        raise InputError(
            f"{error.strerror or error}: '{run.path}' can't be written and is incomplete. Once it can, go on with: "
            f"python train.py resume={run.path}"
        ) from error
    test_checkpoints(run, trainer, parts.data, parts.gan)
    for logger in trainer.loggers:
        logger.finalize("success")
    conclude(run)
    return run


def run_trainer(run: Run, parts: Parts, from_step: int) -> L.Trainer:
    """A trainer whose callbacks and loggers write the run folder."""
    config = run.config
    loggers: list[Logger] = [
        TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False),
        MetricsFile(run.path / "metrics.csv", from_step),
    ]
    checkpoints = {"dirpath": run.last_checkpoint.parent, "enable_version_counter": False}
    curves = Curves(config["log_every"])
    callbacks: list[Callback] = [
        *evaluation_of(run, parts),  # before the curves and the best checkpoint, which read its figures
        curves,
        Progress(curves),
        samples_of(run),
        Record(run.path, config),
        ModelCheckpoint(**checkpoints, filename="last", save_on_train_epoch_end=True),
        Interrupt(run.last_checkpoint),
    ]
    if parts.best_by:
        callbacks.append(ModelCheckpoint(**checkpoints, filename="best", monitor=parts.best_by))
    return build(config["trainer"], "trainer", callbacks=callbacks, logger=loggers, plugins=[CheckedCheckpoints()])


def samples_of(run: Run) -> Samples:
    return Samples(run.path / "samples", **run.config["samples"])


def evaluation_of(run: Run, parts: Parts) -> list[Callback]:
    return [Evaluation(parts.evaluator, run.path)] if parts.evaluator else []


def trained_steps(run: Run) -> int:
    """How many training steps the last checkpoint has seen; its predecessor takes its place where it is damaged."""
    mend(run.last_checkpoint)
    if not run.last_checkpoint.is_file():
        raise InputError(f"'{run.path}' has no checkpoint to go on from: it stopped before its first one")
    checkpoint = read_checkpoint(run.last_checkpoint)
    for group in ("model", "objective", "stabilize"):
        if group in run.config and checkpoint["config"].get(group) != run.config[group]:
            raise InputError(f"'{run.last_checkpoint}' is of another {group} than '{run.path / 'config.yaml'}' says")
    return checkpoint["training_steps"]


def headline(trainer: L.Trainer, data: ImageData, gan: GAN) -> str:
    """What runs where, in one line."""
    counts = {name: len(images.labels) for name, images in data.subsets.items()}
    return (
        f"{type(gan).__name__} on {device_name(trainer)}, {trainer.precision}: "
        f"{counts['train']:,} training, {counts['val']:,} validation and {counts['test']:,} test images; "
        f"{parameter_count(gan.generator):,} parameters in the generator, {parameter_count(gan.discriminator):,} "
        "in the discriminator"
    )
