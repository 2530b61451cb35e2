"""The commands of train.py: start, resume, test or draw a run; start, resume or return a sweep member."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor

from gans.config.build import RunComponents, build_data, build_run
from gans.config.resolve import flatten
from gans.config.schema import USE_ALL, RunConfig
from gans.config.validate import check_value, validate, validate_choice
from gans.data.source import Source
from gans.errors import InputError, TrainingError, warn
from gans.files import remove_parts, removing_empty
from gans.gan import GAN
from gans.machine import keep_freed_memory
from gans.run import slurm
from gans.run.callbacks.checkpoints import Checkpoints
from gans.run.callbacks.interrupt import Interrupt, restored_handlers
from gans.run.checkpoint_files import forget, recover_previous
from gans.run.draw import diagnose_and_plot, draw_figures, warn_of_failed
from gans.run.final_test import final_test
from gans.run.folder import RunFolder, runs_in
from gans.run.history import History
from gans.run.identity import (
    finished_before,
    may_have_changed,
    of_this_code,
    own_code_sha256,
    same_runs,
    settings_text,
)
from gans.run.lock import lock
from gans.run.output import new_whole_folder, removing_refused
from gans.run.rewind import rewind
from gans.run.stops import LIMITS, again, longer, record_stops, say_how_to_repeat
from gans.run.train import make_tester, train
from gans.run.trained import read_checkpoint
from gans.run.upgrade import upgrade

TRAINED_WITH = ("model", "objective", "stabilize", "data", "trainer", "seed")
"""Options that must be the same in config.yaml and in the checkpoint."""
NOT_FIXED = ("data.root", *(f"trainer.{name}" for name in LIMITS))
"""Options among them that may change when a run resumes."""
CLAIM_SECONDS = 600.0
"""How long to wait for the lock on the folder of runs, which each start of a run takes for a moment."""


def start(
    config: RunConfig, name: str, usual_trainer: Mapping[str, Any] | None = None, *, once: bool = False
) -> RunFolder:
    """Train, test and draw a run in a new run folder, which is made after all checks.

    An InputError in the first training step is one more check: it removes the folder again.

    Args:
        name: of the folder; a number is added if it exists.
        usual_trainer: the trainer's options that the model brings, to tell which limit of training was asked for.
        once: refuse it if there is the same run, which another process may have started meanwhile.
    """
    components = build_run(config)
    require_reached_limit(config.trainer, usual_trainer or {}, components.data)
    options = config.model_dump()
    with ExitStack() as stack:
        stack.enter_context(removing_empty(Path(config.runs)))
        claimed = claim(config, components.data) if once else nullcontext()
        with claimed, new_whole_folder(Path(config.runs) / name) as folder:
            stack.enter_context(lock(folder))
            run = RunFolder.create(folder, options)
        images = {"data_sha256": components.data.data_sha256, "test_sha256": components.data.test_sha256}
        run.history.add("started", **images, **made_by(run, components))
        with removing_refused(run, components.gan):
            return complete(run, config, components)


def made_by(run: RunFolder, components: RunComponents) -> dict[str, Any]:
    """What trains and evaluates a run from now on, for its history: the job, the user's own code, the features."""
    facts = {"slurm_job": slurm.job(), "own_code_sha256": own_code_sha256(settings_text(run.config))}
    features = {"features_sha256": components.evaluator.features.sha256} if components.evaluator else {}
    return facts | features


@contextmanager
def claim(config: RunConfig, data: Source) -> Iterator[None]:
    """Inside, no other process makes the same run; an InputError if it exists."""
    runs = Path(config.runs)
    runs.mkdir(parents=True, exist_ok=True)
    with lock(runs, "starts runs there", CLAIM_SECONDS):
        if same := same_runs(config.model_dump(), runs_in(runs), data):
            raise InputError(f"'{same[0].path}' is the same run, and another process has just started it")
        yield


def start_or_requeued(config: RunConfig, name: str, usual_trainer: Mapping[str, Any] | None = None) -> RunFolder:
    """Start a run; in a requeued SLURM job, resume or return the run that the job had started."""
    runs = runs_in(Path(config.runs)) if slurm.was_requeued() else []
    same = same_runs(config.model_dump(), runs, any_code=True)
    own = [run for run in same if slurm.job() in [event.get("slurm_job") for event in run.history.events]]
    for run in own:
        if run.history.last != "finished":
            return resume(run, config)
    if own:  # the job makes several runs
        print(finished_before(own[0], config.model_dump()), flush=True)
        return own[0]
    return start(config, name, usual_trainer)


def start_resume_or_return(config: RunConfig, name: str, usual_trainer: Mapping[str, Any] | None = None) -> RunFolder:
    """Start, resume or return one sweep member."""
    options = config.model_dump()
    data = build_data(config) if may_have_changed(options) else None
    runs = runs_in(Path(config.runs))
    same = same_runs(options, runs, data)
    if not same:
        if older := same_runs(options, runs, data, any_code=True):
            print(f"'{older[0].path}' is of another version of your own code: a new run is made", flush=True)
        return start(config, name, usual_trainer, once=True)
    if same[0].history.last != "finished":
        # with its own spacing of points: a curve has one
        own = {"log_every": same[0].config.get("log_every", config.log_every)}
        return resume(same[0], config.model_copy(update=own))
    print(finished_before(same[0], options), flush=True)
    return same[0]


def read_config(
    run: RunFolder,
    trust: list[str],
    trainer: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    data_root: str | None = None,
) -> RunConfig:
    """The validated config of an existing run.

    Args:
        trust: packages, beside this one and torch, that the config may name.
        trainer: trainer options that replace the run's.
        sampling: replaces the run's as a whole.
        data_root: replaces ``data.root``, where the images have been moved to.
    """
    check_value(list[str], trust, "trust")
    options = dict(run.config) | ({"sampling": dict(sampling)} if sampling else {})
    if trainer and isinstance(options.get("trainer"), dict):
        options["trainer"] = options["trainer"] | dict(trainer)
    if data_root is not None and isinstance(options.get("data"), dict):
        options["data"] = options["data"] | {"root": data_root}
    try:
        return validate(options, trusted=trust)
    except InputError as error:
        raise InputError(f"'{run.path}' can't be used: {error}") from error


def resume(run: RunFolder, config: RunConfig) -> RunFolder:
    """Resume a run from its last checkpoint.

    Args:
        config: the run's config; ``trainer.max_epochs`` and ``max_steps`` may be others, but not fewer steps than it
            has trained, and ``data.root`` may be another folder with the same images.
    """
    with lock(run.path):
        remove_parts(run.path)
        checkpoint = last_checkpoint(run)
        step = checkpoint["training_steps"] if checkpoint else 0
        components = build_run(config, branch=run.history.count("rolled back"))
        require_same_images(run, components.data)
        warn_of_changed_code(run)
        warn_of_changed_features(run, components)
        if checkpoint:
            require_same_weights(components.gan, checkpoint, run)
        require_reached_limit(config.trainer, run.config["trainer"], components.data)
        budget = planned_steps(config.trainer, components.data)
        if budget < step:
            limits = " ".join(f"trainer.{name}={value}" for name in LIMITS if (value := config.trainer.get(name)))
            raise InputError(f"{limits}: {budget:,} steps are less than the {step:,} that the run has trained")
        if run.history.last == "finished" and budget == step:
            print(f"'{run.path}' is finished. Train longer: {longer(config, run)}", flush=True)
            return run
        run.refuse_damage()
        if checkpoint:
            rewind(run, checkpoint)
        run = RunFolder.create(run.path, config.model_dump())
        print(f"resuming from training step {step:,} of {run.path}", flush=True)
        run.history.add("resumed", training_step=step, **made_by(run, components))
        if budget > step:
            run.forget_results()
        return complete(run, config, components)


def test(run: RunFolder, config: RunConfig) -> RunFolder:
    """Test a run again, without training.

    Replaces test.json, verdict.json, the figures and the samples of the test, and ``sampling`` in config.yaml if the
    config has another.
    """
    with lock(run.path):
        remove_parts(run.path)
        checkpoint = last_checkpoint(run)
        if checkpoint is None:
            raise InputError(f"'{run.path}' has no checkpoint to test: it stopped before its first one")
        components = build_run(config)
        require_same_images(run, components.data)
        warn_of_changed_code(run)
        require_same_weights(components.gan, checkpoint, run)
        own = {f"sampling.{name}": value for name, value in config.sampling.items() if name != "_target_"}
        changed = {"sampling": components.sampling.choice, **own} if config.sampling != run_sampling(run) else {}
        repeat = again("test", run, config, changed)
        with (
            restored_handlers(),
            say_how_to_repeat(repeat, "in the test"),
            Interrupt(Checkpoints(run, config, components.best_by)) as interrupt,
        ):
            final_test(run, make_tester(run, config, components, interrupt), components)
            if config.sampling != run_sampling(run):  # the run counts as one with these samples from now on
                run = RunFolder.create(run.path, run.config | {"sampling": dict(config.sampling)})
                print(f"'{run.path}' is a run with sampling={components.sampling.choice} from now on", flush=True)
            diagnose_and_plot(run, config)
    return run


def run_sampling(run: RunFolder) -> Mapping[str, Any]:
    """How the samples of a run's test are chosen, by its own config."""
    return run.config.get("sampling", USE_ALL)


def redraw(run: RunFolder, config: RunConfig, *, own_figures: bool = False, own_formats: bool = False) -> None:
    """Draw the figures of an existing run again, without training or testing.

    Args:
        config: the command's config, which chooses figures and formats.
        own_figures: whether the run's own figures are drawn, if it has any.
        own_formats: whether they are drawn in the run's own formats.

    Raises:
        InputError: if the run has no data for any of them, or has one of a package that ``trust`` does not list.
        Exception: of the first figure that fails, after all others are drawn.
    """
    figures = run.config.get("figure")
    if figures and own_figures:
        for name, node in figures.items():
            try:
                validate_choice(node, "figure", f"figure.{name}", config.trust)
            except InputError as error:
                raise InputError(f"{error}; or name the figures with figure=[...]") from error
        config = config.model_copy(update={"figure": figures})
    if own_formats:
        config = config.model_copy(update={"formats": run.config.get("formats", config.formats)})
    with lock(run.path):
        remove_parts(run.path)
        files, failed, _ = draw_figures(run, config)
    if failed:
        first, *others = failed
        warn_of_failed(run, config, {name: failed[name] for name in others})
        raise failed[first]
    if not files:
        raise InputError(f"'{run.path}' has no data for figure=[{','.join(config.figure)}]: nothing was drawn")


def complete(run: RunFolder, config: RunConfig, components: RunComponents) -> RunFolder:
    """Train, test, diagnose and draw. Roll back after a non-finite value if the options allow it."""
    keep_freed_memory()
    history = run.history
    with restored_handlers(), record_stops(run, config, history):
        while True:
            try:
                interrupt = Interrupt(Checkpoints(run, config, components.best_by))
                with interrupt:
                    trainer = train(run, config, components, interrupt)
                    final_test(run, trainer, components)
                    diagnose_and_plot(run, config)
                break
            except TrainingError as error:
                roll_back(run, config, history, error, components.gan.training_steps)
                interrupt.stop_if_asked()
                components = build_run(config, branch=history.count("rolled back"))
    history.add("finished")
    return run


def roll_back(run: RunFolder, config: RunConfig, history: History, error: TrainingError, trained: int) -> None:
    """Roll back to the last checkpoint; a TrainingError if the options allow no further rollback.

    Args:
        trained: the training steps of the GAN that failed.
    """
    rollbacks = history.count("rolled back")
    if config.on_nan == "stop" or rollbacks >= config.rollbacks:
        step = error.training_step or RunFolder(run.path).last_step
        history.add("failed", training_step=step, why=str(error))
        diagnose_and_plot(run, config)
        hint = (
            f"rollbacks={config.rollbacks} are used up"
            if config.on_nan == "rollback"
            else "in a new run, a smaller learning rate or on_nan=rollback may help"
        )
        raise TrainingError(f"{error}: {hint}. The last checkpoint before it is in '{run.checkpoints}'")
    if error.training_step is None:  # found by an evaluation, which would find it again in the same weights
        forget(run.checkpoints, trained)
    checkpoint = last_checkpoint(run)
    step = checkpoint["training_steps"] if checkpoint else 0
    if checkpoint:
        rewind(run, checkpoint)
    warn(f"{error}: rolled back to step {step:,}, with other random numbers")
    history.add("rolled back", training_step=error.training_step or trained, to_step=step, why=str(error))


def last_checkpoint(run: RunFolder) -> dict[str, Any] | None:
    """The contents of the newest undamaged checkpoint; None if the run stopped before its first one."""
    path = recover_previous(run.checkpoints, "last")
    if path is None:
        if run.curves or any(run.checkpoints.glob("last.ckpt")):
            raise InputError(
                f"'{run.checkpoints}' has no undamaged checkpoint of this version: the run can't be resumed or tested"
            )
        return None
    checkpoint = read_checkpoint(path)
    require_same_settings(run, upgrade(checkpoint["config"]), path)
    return checkpoint


def require_same_settings(run: RunFolder, trained_with: Mapping[str, Any], checkpoint: Path) -> None:
    """Refuse a config.yaml that was changed by hand: it would say what the run was not trained with."""
    ours, theirs = (flatten({name: config.get(name) for name in TRAINED_WITH}) for config in (run.config, trained_with))
    for name in dict.fromkeys([*ours, *theirs]):
        # later versions have more options of data and trainer
        is_new = not (name in ours and name in theirs) and name.startswith(("data.", "trainer."))
        if not is_new and name not in NOT_FIXED and ours.get(name) != theirs.get(name):
            raise InputError(
                f"{name} is {ours.get(name)} in '{run.config_file}', but the run was trained with {theirs.get(name)}, "
                f"as '{checkpoint}' says: restore it there, or start a new run"
            )


def planned_steps(trainer: Mapping[str, Any], data: Source) -> int:
    """The budget in training steps."""
    return min(limits_in_steps(trainer, data).values())


def limits_in_steps(trainer: Mapping[str, Any], data: Source) -> dict[str, int]:
    """After how many training steps each of the trainer's limits ends training."""
    steps = {"max_steps": 1, "max_epochs": len(data.train_batches)}
    return {name: limit * steps[name] for name in LIMITS if (limit := trainer.get(name)) is not None}


def require_reached_limit(trainer: Mapping[str, Any], before: Mapping[str, Any], data: Source) -> None:
    """Refuse a limit of training that was changed, if the other one, as it was before, ends training earlier.

    Args:
        before: the trainer's options as the model or the run has them; empty if they are not known.
    """
    limits = limits_in_steps(trainer, data)
    changed = [name for name in limits if trainer[name] != before.get(name)]
    first = min(limits, key=lambda name: limits[name])
    if before and len(changed) == 1 and limits[first] < limits[changed[0]]:
        raise InputError(
            f"trainer.{changed[0]}={trainer[changed[0]]} is never reached: trainer.{first}={trainer[first]} ends "
            f"training after {limits[first]:,} steps. Raise that one, too, or set trainer.{first}=null"
        )


def require_same_images(run: RunFolder, data: Source) -> None:
    """Refuse other images than those that the run started with, such as of a folder that has changed."""
    if run.history.has_other_images(data):
        raise InputError(
            f"'{run.path}' was made with other images than data={data.source} has now: restore them, or use a new run"
        )


def warn_of_changed_code(run: RunFolder) -> None:
    """Say so where the user's own code has changed since the run was trained: its results may be of both versions."""
    if not of_this_code(settings_text(run.config), [run]):
        warn(
            f"'{run.path}' was trained with another version of your own code: what follows mixes both. Restore the old "
            "code, or start a new run"
        )


def warn_of_changed_features(run: RunFolder, components: RunComponents) -> None:
    """Say so where the feature network was trained anew since the run was evaluated: its curves are of both."""
    before, now = run.history.features, components.evaluator.features.sha256 if components.evaluator else ""
    if before and now and before != now:
        warn(
            f"'{run.path}' was evaluated with another feature network, so that its validation metrics and the best "
            "checkpoint mix both: restore that one in your cache, or start a new run"
        )


def require_same_weights(gan: GAN, checkpoint: Mapping[str, Any], run: RunFolder) -> None:
    """Refuse a checkpoint with other weights than the GAN."""
    own, saved = (
        {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}
        for state in (gan.state_dict(), checkpoint["state_dict"])
    )
    if differences := dict(saved.items() ^ own.items()):
        raise InputError(
            f"'{run.path}' was trained by another version with other weights, such as '{min(differences)}': use that "
            f"version, which '{run.versions_file}' names, or start a new run"
        )
