"""What train.py can be asked for: start a run, resume it, test it, or do what is missing of a sweep's member."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gans.config.build import RunComponents, build_figures, build_run
from gans.config.schema import RunConfig
from gans.config.validate import validate
from gans.data.source import Source
from gans.errors import InputError, InterruptedTraining, TrainingError
from gans.figures import draw
from gans.files import remove_parts
from gans.gan import GAN
from gans.machine import keep_freed_memory
from gans.nonfinite import NonFiniteError
from gans.run import slurm
from gans.run.checkpoint_files import recover_previous
from gans.run.diagnose import diagnose
from gans.run.export import read_checkpoint
from gans.run.final_test import final_test
from gans.run.folder import RunFolder, new_folder, run_name, runs_named
from gans.run.history import History
from gans.run.rewind import truncate_after
from gans.run.train import make_interrupt, make_tester, train


def start(config: RunConfig, choices: Mapping[str, str]) -> RunFolder:
    """Train, test and draw a run, in a new run folder; nothing is written before everything is checked.

    Args:
        choices: the option chosen in each config group, to name the run by.
    """
    components = build_run(config)
    options = config.model_dump()
    folder = new_folder(Path(config.runs), run_name(choices, options))
    run = RunFolder.create(folder, options)
    with run.lock():
        run.history.add("started", slurm_job=slurm.job())
        return complete(run, config, components)


def start_or_requeued(config: RunConfig, choices: Mapping[str, str]) -> RunFolder:
    """Start a run, or resume the one that this SLURM job had begun when it was requeued."""
    for run in runs_of(config, choices) if slurm.was_requeued() else []:
        begun_here = slurm.job() in [event.get("slurm_job") for event in run.history.events]
        if begun_here and run.history.last != "finished":
            return resume(run, config)
    return start(config, choices)


def start_resume_or_return(config: RunConfig, choices: Mapping[str, str]) -> RunFolder:
    """Start, resume or return one sweep member."""
    for run in runs_of(config, choices):
        if run.history.last == "finished":
            print(f"finished before: {run.path}", flush=True)
            return run
        return resume(run, config)
    return start(config, choices)


def runs_of(config: RunConfig, choices: Mapping[str, str]) -> Iterator[RunFolder]:
    """The runs that have this config, in order."""
    options = config.model_dump()
    return (run for run in runs_named(Path(config.runs), run_name(choices, options)) if run.config == options)


def config_of(run: RunFolder, trust: list[str], trainer: Mapping[str, Any] | None = None) -> RunConfig:
    """An existing run's config, which may name classes of this package, torch and the trusted packages only.

    Args:
        trainer: options of the trainer that replace the run's.
    """
    return validate(run.config | {"trainer": run.config["trainer"] | dict(trainer or {})}, trusted=trust)


def resume(run: RunFolder, config: RunConfig) -> RunFolder:
    """Resume a run from its last checkpoint.

    Args:
        config: the run's; ``trainer.max_epochs`` and ``max_steps`` may differ, to train longer.
    """
    run.refuse_links_out()
    with run.lock():
        remove_parts(run.path)
        checkpoint = last_checkpoint(run)
        step = checkpoint["training_steps"] if checkpoint else 0
        components = build_run(config, branch=run.history.count("rolled back"))
        if checkpoint:
            require_same_weights(components.gan, checkpoint, run)
        options = config.model_dump()
        if options != run.config:
            refuse_shorter(config.trainer, components.data, step)
            run = RunFolder.create(run.path, options)
        if checkpoint:
            truncate_after(run, checkpoint["file_positions"])
        print(f"resuming from training step {step:,} of {run.path}", flush=True)
        run.history.add("resumed", training_step=step, slurm_job=slurm.job())
        return complete(run, config, components)


def test(run: RunFolder, config: RunConfig) -> RunFolder:
    """Test a run again, without training: new test.json, verdict.json and figures; the rest stays as it is."""
    run.refuse_links_out()
    with run.lock():
        checkpoint = last_checkpoint(run)
        if checkpoint is None:
            raise InputError(f"'{run.path}' has no checkpoint to test: it stopped before its first one")
        components = build_run(config)
        require_same_weights(components.gan, checkpoint, run)
        final_test(run, make_tester(run, config, components), components)
        diagnose_and_plot(run, config)
    return run


def complete(run: RunFolder, config: RunConfig, components: RunComponents) -> RunFolder:
    """Train, roll back where a value is not finite, test, diagnose and draw. The history says what ended it early."""
    keep_freed_memory()
    history = run.history
    with noting_stops(run, history):
        while True:
            try:
                with make_interrupt(run, config, components) as interrupt:
                    trainer = train(run, config, components, interrupt)
                    final_test(run, trainer, components)
                    diagnose_and_plot(run, config)
                break
            except NonFiniteError as error:
                require_rollback(run, config, history, error)
                components = build_run(config, branch=history.count("rolled back"))
    history.add("finished")
    return run


def diagnose_and_plot(run: RunFolder, config: RunConfig) -> None:
    """Say what happened in the run, and draw its figures."""
    fresh = RunFolder(run.path)  # what was read before training is out of date
    diagnose(fresh)
    files = draw(fresh, build_figures(config))
    print(f"figures: {len(files)} files in {run.figures}")


@contextmanager
def noting_stops(run: RunFolder, history: History) -> Iterator[None]:
    """Note in the history why a run stops, and say how to resume it."""
    resuming = f"python train.py resume={run.path}"
    try:
        yield
    except InterruptedTraining as stop:
        history.add("stopped", why=str(stop))
        requeued = stop.signal_number == slurm.REQUEUE_SIGNAL
        message = f"{stop}: {slurm.requeue()}" if requeued else f"{stop}. Resume it with: {resuming}"
        raise InterruptedTraining(message, stop.signal_number) from None
    except OSError as error:
        raise InputError(
            f"{error.strerror or error}: '{run.path}' can't be written and is incomplete. Once it can, resume it with: "
            f"{resuming}"
        ) from error


def require_rollback(run: RunFolder, config: RunConfig, history: History, error: NonFiniteError) -> None:
    """Go back to the last checkpoint, if the options allow it once more.

    Raises:
        TrainingError: where they do not.
    """
    rollbacks = history.count("rolled back")
    if config.on_nan == "stop" or rollbacks == config.rollbacks:
        history.add("failed", training_step=error.training_step, why=str(error))
        diagnose_and_plot(run, config)
        hint = (
            f"; it was the last of {config.rollbacks} rollbacks"
            if rollbacks
            else ". A smaller learning rate may help, or on_nan=rollback"
        )
        raise TrainingError(f"{error}{hint}. The last checkpoint in '{run.checkpoints}' is from before")
    checkpoint = last_checkpoint(run)
    step = checkpoint["training_steps"] if checkpoint else 0
    if checkpoint:
        truncate_after(run, checkpoint["file_positions"])
    print(f"warning: {error}: back to step {step:,}, with other random numbers", file=sys.stderr, flush=True)
    history.add("rolled back", to_step=step, why=str(error))


def last_checkpoint(run: RunFolder) -> dict[str, Any] | None:
    """The contents of the newest whole checkpoint; None where the run stopped before its first one."""
    path = recover_previous(run.checkpoints)
    if path is None:
        if run.curves or any(run.checkpoints.glob("last.ckpt")):
            raise InputError(
                f"'{run.checkpoints}' holds no whole checkpoint of this version: the run can't be resumed or tested"
            )
        return None
    checkpoint = read_checkpoint(path)
    for group in ("model", "objective", "stabilize"):
        if checkpoint["config"].get(group) != run.config.get(group):
            raise InputError(f"'{path}' is of another {group} than '{run.config_file}' says")
    return checkpoint


def refuse_shorter(trainer: Mapping[str, Any], data: Source[Any], steps: int) -> None:
    """Refuse a budget that is spent already."""
    per_epoch = {"max_steps": 1, "max_epochs": len(data.train_batches)}
    for name, step_count in per_epoch.items():
        limit = trainer[name]
        if limit is not None and limit * step_count < steps:
            raise InputError(f"trainer.{name}={limit} is less than the {steps:,} steps that the run has trained")


def require_same_weights(gan: GAN, checkpoint: Mapping[str, Any], run: RunFolder) -> None:
    """Refuse a checkpoint whose networks have other layers than this version's."""
    own, kept = (
        {name: value.shape for name, value in state.items()} for state in (gan.state_dict(), checkpoint["state_dict"])
    )
    if others := dict(kept.items() ^ own.items()):
        raise InputError(
            f"'{run.path}' was trained by another version, whose networks have other weights, such as "
            f"'{min(others)}': use that version, which '{run.versions_file}' names, or train anew"
        )
