"""One run, from a resolved config to its figures, whatever stops it on the way."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import OmegaConf

from gans import slurm
from gans.building import build, build_data, build_gan, build_metrics, validate
from gans.callbacks.checkpoints import Checkpoints
from gans.callbacks.curves import Curves
from gans.callbacks.evaluation import Evaluation
from gans.callbacks.interrupt import Interrupt
from gans.callbacks.landscape import Landscape
from gans.callbacks.progress import Progress
from gans.callbacks.record import Record, device_name
from gans.callbacks.samples import Samples
from gans.checkpoints import CheckedCheckpoints, mend
from gans.data.description import Describer
from gans.data.source import Source
from gans.devices import emulates_bfloat16
from gans.errors import InputError, InterruptedTraining, TrainingError
from gans.exporting import read_checkpoint
from gans.faults import NotFinite
from gans.features.files import load_features
from gans.files import remove_parts, write_text
from gans.gan import GAN
from gans.history import History
from gans.jobs import sharing
from gans.matching import require_match
from gans.memory import keep_freed_memory
from gans.metrics.evaluator import Evaluator
from gans.metrics_file import MetricsFile, read_rows
from gans.records import EVENTS, METRICS, cut_back
from gans.run import Run, folders_named, new_folder, run_name
from gans.summary import parameter_count
from gans.testing import conclude, test_checkpoints
from gans.threads import take_cores


def start_run(config: dict[str, Any], choices: Mapping[str, str]) -> Run:
    """Train, test and draw what the config describes, in a new run folder; nothing is written before all is checked.

    Args:
        config: resolved, plain values.
        choices: the option chosen in each config group, to name the run by.
    """
    parts = Parts(config)
    folder = new_folder(Path(config["runs"]), run_name(choices, config))
    with alone_in(folder):
        write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
        History(folder).add("started", slurm_job=slurm.job())
        return train_and_test(Run(folder), parts)


def run_once(config: dict[str, Any], choices: Mapping[str, str]) -> Run:
    """What is missing of a sweep's member: it is started, or gone on with where it stopped, or found finished."""
    validate(config)
    for run in runs_of(config, choices):
        if History(run.path).last == "finished":
            print(f"finished before: {run.path}", flush=True)
            return run
        return resume_run(run.path)
    return start_run(config, choices)


def start_or_requeued(config: dict[str, Any], choices: Mapping[str, str]) -> Run:
    """Start a run, or go on with the one that this job had begun when it was requeued."""
    for run in runs_of(config, choices) if slurm.was_requeued() else []:
        events = History(run.path).events
        if slurm.job() in [event.get("slurm_job") for event in events] and events[-1]["event"] != "finished":
            return resume_run(run.path)
    return start_run(config, choices)


def runs_of(config: dict[str, Any], choices: Mapping[str, str]) -> Iterator[Run]:
    """The runs that have this config, in order."""
    for folder in folders_named(Path(config["runs"]), run_name(choices, config)):
        run = Run(folder)
        if run.config == config:
            yield run


def resume_run(folder: Path, budget: Mapping[str, int | None] | None = None) -> Run:
    """Go on with a run from its last checkpoint, with the run's own config.

    Args:
        budget: values of ``trainer.max_epochs`` and ``trainer.max_steps`` that replace the run's, to train longer.
    """
    run = Run(folder)
    run.refuse_links_out()
    validate(run.config)
    with alone_in(folder):
        remove_parts(folder)
        checkpoint = last_checkpoint(run)
        if checkpoint and not isinstance(checkpoint.get("records"), dict):
            raise InputError(f"'{run.last_checkpoint}' was written by another version: it can be tested only")
        config = run.config | {"trainer": run.config["trainer"] | dict(budget or {})}
        parts = Parts(config, rollbacks=History(folder).count("rolled back"))
        if checkpoint:
            require_same_weights(parts.gan, checkpoint, run)
        if config != run.config:
            refuse_shorter(config["trainer"], parts.data, checkpoint["training_steps"] if checkpoint else 0)
            write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
            run = Run(folder)
        step = checkpoint["training_steps"] if checkpoint else 0
        print(f"going on from training step {step:,} of {folder}", flush=True)
        History(folder).add("resumed", training_step=step, slurm_job=slurm.job())
        return train_and_test(run, parts, checkpoint)


def refuse_shorter(trainer: Mapping[str, Any], data: Source[Any], steps: int) -> None:
    """Refuse a budget that is spent already."""
    limits = {"max_steps": trainer["max_steps"], "max_epochs": trainer["max_epochs"]}
    per_epoch = {"max_steps": 1, "max_epochs": len(data.train_batches)}
    for name, limit in limits.items():
        if limit is not None and limit * per_epoch[name] < steps:
            raise InputError(f"trainer.{name}={limit} is less than the {steps:,} steps that the run has trained")


def test_run(folder: Path) -> Run:
    """Test a run again, without training: new test.json, verdict.json and figures; the rest stays as it is."""
    run = Run(folder)
    run.refuse_links_out()
    with alone_in(folder):
        checkpoint = last_checkpoint(run)
        if checkpoint is None:
            raise InputError(f"'{folder}' has no checkpoint to test: it stopped before its first one")
        parts = Parts(run.config)
        require_same_weights(parts.gan, checkpoint, run)
        callbacks = [samples_of(run, parts.data), *evaluation_of(run, parts)]
        plugins = [CheckedCheckpoints()]
        trainer = build(run.config["trainer"], "trainer", callbacks=callbacks, logger=False, plugins=plugins)
        test_checkpoints(run, trainer, parts.data, parts.gan)
        conclude(run)
    return run


def require_same_weights(gan: GAN, checkpoint: Mapping[str, Any], run: Run) -> None:
    """Refuse a checkpoint whose networks have other layers than this version's."""
    own, kept = (
        {name: value.shape for name, value in state.items()} for state in (gan.state_dict(), checkpoint["state_dict"])
    )
    if others := dict(kept.items() ^ own.items()):
        raise InputError(
            f"'{run.last_checkpoint}' was written by another version, whose networks have other weights, such as "
            f"'{min(others)}': use that version, which '{run.path / 'versions.json'}' names, or train anew"
        )


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from writing the same run folder.

    Raises:
        InputError: where another one is at it.
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"'{folder}' is in the hands of another process that trains or tests it") from error


class Parts:
    """What a run is made of, checked and built from its config.

    Args:
        rollbacks: how often the run has gone back to a checkpoint; each time its random numbers become others.
    """

    def __init__(self, config: dict[str, Any], rollbacks: int = 0) -> None:
        take_cores(sharing())  # before anything is computed
        self.settings = validate(config)
        build(config["trainer"], "trainer", logger=False)
        self.data = build_data(config)
        self.gan = build_gan(config, branch=rollbacks)
        metrics, most = build_metrics(config), config["evaluated_images"]
        require_match(self.gan, self.data)
        self.evaluator = Evaluator(metrics, describer_of(self.data), self.data, most) if metrics else None

    @property
    def best_by(self) -> str | None:
        """The validation figure that the best checkpoint minimizes; None where it can't be computed."""
        name = self.evaluator.name("fid", "val") if self.evaluator else None
        return f"val/{name}" if name else None


def describer_of(data: Source[Any]) -> Describer:
    """What describes the data for metrics: what the source brings, or its feature network."""
    return data.describer or load_features(data.source)


def train_and_test(run: Run, parts: Parts, checkpoint: dict[str, Any] | None = None) -> Run:
    """Train, from a checkpoint on if there is one, and test. What ends it early is noted in the history."""
    history = History(run.path)
    try:
        fit_and_test(run, parts, checkpoint)
    except NotFinite as fault:
        rollbacks, most = history.count("rolled back"), parts.settings.rollbacks
        if parts.settings.on_nan == "stop" or rollbacks == most:
            history.add("failed", training_step=fault.training_step, why=str(fault))
            conclude(run)
            hint = (
                f"; it was the last of {most} rollbacks"
                if rollbacks
                else ". A smaller learning rate may help, or on_nan=rollback"
            )
            raise TrainingError(f"{fault}{hint}. The last checkpoint is from before: '{run.last_checkpoint}'") from None
        checkpoint = last_checkpoint(run)
        step = checkpoint["training_steps"] if checkpoint else 0
        print(f"warning: {fault}: back to step {step:,}, with other random numbers", file=sys.stderr, flush=True)
        history.add("rolled back", to_step=step, why=str(fault))
        return train_and_test(run, Parts(run.config, rollbacks + 1), checkpoint)
    except InterruptedTraining as stop:
        history.add("stopped", why=str(stop))
        if stop.signal_number == slurm.REQUEUE_SIGNAL:
            raise InterruptedTraining(f"{stop}: {slurm.requeue()}", stop.signal_number) from None
        message = f"{stop}. Go on with: python train.py resume={run.path}"
        raise InterruptedTraining(message, stop.signal_number) from None
    except OSError as error:
        raise InputError(
            f"{error.strerror or error}: '{run.path}' can't be written and is incomplete. Once it can, go on with: "
            f"python train.py resume={run.path}"
        ) from error
    history.add("finished")
    return run


def fit_and_test(run: Run, parts: Parts, checkpoint: dict[str, Any] | None) -> None:
    keep_freed_memory()
    if checkpoint:
        cut_back(run.path, checkpoint["records"])
    checkpoints = Checkpoints(run.path, run.config, parts.best_by, **run.config["checkpoint"])
    with Interrupt(checkpoints) as interrupt:
        trainer = run_trainer(run, parts, [checkpoints, interrupt])
        print(f"{run.name}: {headline(trainer, parts.data, parts.gan)}", flush=True)
        if trainer.precision == "bf16-mixed" and emulates_bfloat16(trainer.strategy.root_device.type):
            print(
                "warning: this CPU emulates bfloat16 (x86 needs AVX-512): trainer.precision=32-true is far faster",
                file=sys.stderr,
                flush=True,
            )
        if parts.best_by is None:
            print("no best checkpoint will be chosen: that takes metric=[fid,...] and enough validation images")
        trainer.fit(parts.gan, datamodule=parts.data, ckpt_path=run.last_checkpoint if checkpoint else None)
        test_checkpoints(run, trainer, parts.data, parts.gan)
        for logger in trainer.loggers:
            logger.finalize("success")
        conclude(run)


def run_trainer(run: Run, parts: Parts, last: list[Callback]) -> L.Trainer:
    """A trainer whose callbacks and loggers write the run folder."""
    config = run.config
    loggers: list[Logger] = [
        TensorBoardLogger(run.path, name="", version=EVENTS, default_hp_metric=False),
        MetricsFile(run.path / METRICS),
    ]
    curves = Curves(config["log_every"])
    callbacks: list[Callback] = [
        *evaluation_of(run, parts),  # before the curves and the best checkpoint, which read its figures
        curves,
        Progress(curves, run.name),
        samples_of(run, parts.data),
        Record(run.path, config),
        *last,
    ]
    return build(config["trainer"], "trainer", callbacks=callbacks, logger=loggers, plugins=[CheckedCheckpoints()])


def samples_of(run: Run, data: Source[Any]) -> Samples:
    kind = Samples if data.extent is None else Landscape
    return kind(run.path / "samples", **run.config["samples"])


def evaluation_of(run: Run, parts: Parts) -> list[Callback]:
    return [Evaluation(parts.evaluator, run.path)] if parts.evaluator else []


def last_checkpoint(run: Run) -> dict[str, Any] | None:
    """The last checkpoint's contents; its predecessor takes its place where it is damaged.

    None where the run stopped before its first one.
    """
    path = run.last_checkpoint
    mend(path)
    if not path.is_file():
        _, rows = read_rows(run.path / METRICS)
        if rows:
            raise InputError(f"'{path}' is lost, and so is its predecessor: the run can't be gone on with")
        return None
    checkpoint = read_checkpoint(path)
    for group in ("model", "objective", "stabilize"):
        if group in run.config and checkpoint["config"].get(group) != run.config[group]:
            raise InputError(f"'{path}' is of another {group} than '{run.path / 'config.yaml'}' says")
    return checkpoint


def headline(trainer: L.Trainer, data: Source[Any], gan: GAN) -> str:
    """What runs where, in one line."""
    counts = {name: len(images.labels) for name, images in data.subsets.items()}
    return (
        f"{type(gan).__name__} on {device_name(trainer)}, {trainer.precision}: "
        f"{counts['train']:,} training, {counts['val']:,} validation and {counts['test']:,} test images; "
        f"{parameter_count(gan.generator):,} parameters in the generator, {parameter_count(gan.discriminator):,} "
        "in the discriminator"
    )
