"""A sweep: members run side by side, finished ones are skipped, and a summary names those that failed."""

import json
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gans.config.command_line import fail, make_importable
from gans.config.resolve import resolve, without_replaced
from gans.config.shell import config_dirs
from gans.config.validate import check_options, validate
from gans.errors import InputError
from gans.files import making_folder
from gans.run import slurm
from gans.run.folder import RunFolder, runs_in
from gans.run.identity import finished_before, may_have_changed, own_code_sha256, same_runs, settings_text
from gans.run.lock import lock
from gans.sweep.engine import Engine
from gans.sweep.member import Member
from gans.sweep.processes import Processes
from gans.sweep.ray import Ray
from gans.sweep.slurm import Slurm
from gans.sweep.view import View

ENGINES: dict[str, type[Engine]] = {"processes": Processes, "slurm": Slurm, "ray": Ray}
LONGEST, LAST_LINES = 200, 10
"""Characters of a line, and lines of a failed member's log, in the summary; the log has all of it."""


def run_sweep(configs: Sequence[DictConfig]) -> None:
    """Run the members that are missing of these composed configs, and exit with a summary."""
    if not configs:
        raise InputError("this sweep has no member: a range or glob in it is empty")
    commands = [list(config.hydra.overrides.task) for config in configs]
    options = [options_of(config) for config in configs]
    make_importable(config_dirs(configs[0].hydra))
    identities = [identity_of(each) for each in options]
    for run in {each["draw"] for each in options if each["draw"]}:
        if sum(each["draw"] == run for each in options) > 1:
            raise InputError(f"draw={run} is in two members, and one at a time draws a run: name all figures in one")
    for number, own in enumerate(identities):
        if (first := identities.index(own)) < number:
            both = " and ".join(f"'{' '.join(commands[each])}'" for each in (first, number))
            raise InputError(f"{both} would be the same run twice: leave one out")
    hydra = configs[0].hydra
    refuse_if_all_are_wrong(options)
    engine = make_engine(hydra, len(configs), {config.trainer.accelerator for config in configs})
    # the same sweep has the same folder, where it finds members that it has left in SLURM
    folder = Path(hydra.sweep.dir) / sha256("".join(identities).encode()).hexdigest()[:8]
    start = [sys.executable, sys.argv[0], *flags_of(hydra)]
    members = [Member(" ".join(each), [*start, *each], folder / f"{i:04d}.log") for i, each in enumerate(commands)]
    runs = {name: runs_in(Path(name)) for name in {each["runs"] for each in options}}
    with making_folder(folder):
        for member, each in zip(members, options, strict=True):
            skip_if_finished(member, each, runs[each["runs"]])
        run_members(members, engine, View(members))
    sys.exit(exit_code_of(members))


def refuse_if_all_are_wrong(options: Sequence[dict[str, Any]]) -> None:
    """Refuse a sweep of which no member could start, with the first one's InputError, before anything is written.

    Where some could, the others fail by themselves.
    """
    errors = []
    for each in options:
        try:
            validate(each)
        except InputError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def flags_of(hydra: Any) -> list[str]:
    """Hydra's flags of a command that decide which files it reads: its members need them too."""
    name = hydra.job.config_name
    main = [] if name == "config" else ["--config-name", name]
    return [*main, *(part for path in config_dirs(hydra) for part in ("--config-dir", path))]


def exit_code_of(members: Sequence[Member]) -> int:
    """That of the first member that failed; else of one that was stopped; 0 if all are finished, or go on."""
    ended = sorted(members, key=lambda member: not member.failure)
    return next((member.exit_code for member in ended if member.exit_code), 0)


def make_engine(hydra: Any, members: int, accelerators: Collection[str]) -> Engine:
    """The engine that ``hydra/launcher=...`` names in Hydra's own config; an InputError for wrong options.

    Args:
        members: how many there are.
        accelerators: Lightning's names of their devices.
    """
    name = hydra.runtime.choices["hydra/launcher"]
    if name not in ENGINES:
        raise InputError(f"hydra/launcher={name} is not of this package: choose from {', '.join(ENGINES)}")
    options: Any = OmegaConf.to_container(hydra.launcher, resolve=True)
    del options["_target_"]
    engine = check_options(ENGINES[name], options, "hydra.launcher.")
    engine.prepare(members, accelerators)
    return engine


def options_of(config: DictConfig) -> dict[str, Any]:
    """A member's options, without Hydra's own."""
    options = resolve(OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"]))
    return without_replaced(options, config.hydra.overrides.task)


def identity_of(options: Mapping[str, Any]) -> str:
    """A digest that is equal for commands that do the same to the same run."""
    settings = settings_text(options)
    drawn = [options["figure"], options["formats"]] if options["draw"] else []
    own = [settings, own_code_sha256(settings), *(options[name] for name in ("runs", "resume", "test", "draw")), *drawn]
    return sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def skip_if_finished(member: Member, options: dict[str, Any], runs: Sequence[RunFolder]) -> None:
    """End a member that would start a run, if the same one of these runs is finished.

    A member whose images may have changed looks at them itself, and one whose run is damaged says so.
    """
    if any(options[name] is not None for name in ("resume", "test", "draw")) or may_have_changed(options):
        return
    with suppress(InputError):
        run = next(iter(same_runs(options, runs)), None)
        if run is None or run.history.last != "finished":
            return
        with member.log.open("a", encoding="utf-8") as log:
            print(finished_before(run, options), file=log)
        member.exit_code = 0


def run_members(members: Sequence[Member], engine: Engine, view: View) -> str:
    """Run members, whose logs are in one folder, and say which have failed. Ends the command if a signal came.

    Returns what to know of members that go on without this process; "" if none does. An InputError if another process
    runs members with logs in this folder.
    """
    folder = members[0].log.parent
    with making_folder(folder), lock(folder, "runs this sweep"):
        try:
            with view:
                received, left = engine.run(members, view.refresh)
        finally:
            finished = sum(member.exit_code == 0 for member in members)
            print(f"sweep: {finished} of {len(members)} members are finished; see {folder}", flush=True)
            tell_failures(members)
    if received:
        requeued = f": {slurm.requeue()}" if received[0] == slurm.REQUEUE_SIGNAL else ""
        why = f"stopped by {signal.Signals(received[0]).name}{requeued}"
        fail(". ".join(filter(None, [why, left, "The same command goes on"])), 128 + received[0])
    if left:
        print(f"{left}. The same command collects their results", flush=True)
    return left


def tell_failures(members: Sequence[Member]) -> None:
    """Say why members failed, each reason once, with the end of a log."""
    failures: dict[str, list[Member]] = {}
    for member in members:
        if why := member.failure:
            failures.setdefault(why, []).append(member)
    for why, alike in failures.items():
        log = [f"| {line}" for line in alike[0].lines()[-LAST_LINES:]]
        first, *log = [line if len(line) <= LONGEST else f"{line[:LONGEST]} ..." for line in (f"failed: {why}", *log)]
        print(first, *(f"  {member.name} (see {member.log})" for member in alike), *log, sep="\n", file=sys.stderr)
