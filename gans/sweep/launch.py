"""A sweep: members run side by side, finished ones are skipped, and a summary names those that failed."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from textwrap import shorten
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gans.config.command_line import fail
from gans.config.resolve import resolve
from gans.errors import InputError, config_dirs
from gans.run import slurm
from gans.run.folder import RunFolder, runs_in
from gans.run.identity import finished_before, result_settings, same_runs
from gans.sweep.engines import make_engine
from gans.sweep.member import STOPPED, Engine, Member
from gans.sweep.view import View

LONGEST = 300
"""Characters of a failure in the summary; the member's log has all of it."""
LAST_LINES = 10
"""Of a failed member's log, in the summary."""


def run_sweep(configs: Sequence[DictConfig], first_number: int = 0) -> None:
    """Run the members that are missing, and exit with a summary.

    The exit code is that of the first member that failed, or 0; 128 more than the signal that ended the sweep.

    Args:
        configs: each member's composed config.
        first_number: of the members in this part of the sweep.
    """
    commands = [list(config.hydra.overrides.task) for config in configs]
    options = [options_of(config) for config in configs]
    refuse_twins(commands, options)
    folders = config_dirs(configs[0].hydra)
    command = [sys.executable, sys.argv[0], *(part for path in folders for part in ("--config-dir", path))]
    engine = make_engine(configs[0].hydra, command, len(configs), configs[0].trainer.accelerator)
    runs = {folder: runs_in(Path(folder)) for folder in {each["runs"] for each in options}}
    folder = Path(configs[0].hydra.sweep.dir) / "members"
    folder.mkdir(parents=True, exist_ok=True)
    members = [
        member_of(command, each, runs[each["runs"]], folder / f"{first_number + i:04d}.log")
        for i, (command, each) in enumerate(zip(commands, options, strict=True))
    ]
    with View(members) as view:
        engine.run(members, view.refresh)
    summarize(members, folder, engine)


def options_of(config: DictConfig) -> dict[str, Any]:
    """A member's options, without Hydra's own."""
    return resolve(OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"]))


def refuse_twins(commands: Sequence[Sequence[str]], options: Sequence[dict[str, Any]]) -> None:
    """Refuse two members that do the same to the same run, such as those of seed=4,4, with an InputError."""
    identities = [identity_of(each) for each in options]
    for number, own in enumerate(identities):
        if (first := identities.index(own)) < number:
            both = " and ".join(f"'{' '.join(commands[each])}'" for each in (first, number))
            raise InputError(f"{both} would be the same run twice: leave one out")


def identity_of(options: Mapping[str, Any]) -> str:
    """A digest that is equal for commands that do the same to the same run."""
    own = [result_settings(options), *(options[name] for name in ("runs", "resume", "test", "draw"))]
    return sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def member_of(command: Sequence[str], options: dict[str, Any], runs: Sequence[RunFolder], log: Path) -> Member:
    """A sweep's member; it has ended already if it starts a run, and the same one of these runs is finished."""
    member = Member(command, log, identity_of(options))
    starts = all(options[name] is None for name in ("resume", "test", "draw"))
    run = next(iter(same_runs(options, runs)), None) if starts else None
    if run and run.history.last == "finished":
        log.write_text(f"{finished_before(run, options)}\n", encoding="utf-8")
        member.exit_code = 0
    return member


def summarize(members: Sequence[Member], folder: Path, engine: Engine) -> None:
    """Say why members failed, and end the command if not all of them are finished."""
    finished = sum(member.exit_code == 0 for member in members)
    print(f"sweep: {finished} of {len(members)} members are finished; see {folder}", flush=True)
    failed = tell_failures(members)
    end_if_stopped(engine, "the whole sweep")
    if engine.leaves:
        print(f"{engine.leaves}. The same command collects their results", flush=True)
    if failed:
        sys.exit(failed[0].exit_code)
    if any(member.exit_code in STOPPED for member in members):
        fail("some members were stopped. The same command goes on with the whole sweep", STOPPED[1])


def tell_failures(members: Sequence[Member]) -> list[Member]:
    """Write the members' results, and say why some failed, each reason once, with the end of a log."""
    for member in members:
        member.write_result()
    failed = [member for member in members if member.outcome.startswith("failed")]
    failures: dict[str, list[Member]] = {}
    for member in failed:
        failures.setdefault(member.outcome, []).append(member)
    for why, alike in failures.items():
        print(shorten(why, LONGEST, placeholder=" ..."), file=sys.stderr)
        for member in alike:
            print(f"  {member.title} (see {member.log})", file=sys.stderr)
        for line in alike[0].lines()[-LAST_LINES:]:
            print(shorten(f"| {line}", LONGEST, placeholder=" ..."), file=sys.stderr)
    return failed


def end_if_stopped(engine: Engine, what: str) -> None:
    """End the command if a signal has come."""
    if engine.received:
        first = engine.received[0]
        requeued = f": {slurm.requeue()}" if first == slurm.REQUEUE_SIGNAL else ""
        leaves = f"{engine.leaves}. " if engine.leaves else ""
        why = f"stopped by {signal.Signals(first).name}{requeued}"
        fail(f"{why}. {leaves}The same command goes on with {what}", 128 + first)
