"""A sweep: members run side by side, finished ones are skipped, and a summary names those that failed."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import joblib
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gans.config.command_line import fail
from gans.config.resolve import resolve
from gans.errors import InputError, config_dirs
from gans.files import write_json
from gans.run import slurm
from gans.run.folder import RunFolder, runs_in
from gans.run.identity import finished_before, result_settings, same_runs
from gans.sweep.processes import Member, ProcessPool

KILLED, STOPPED = 137, (130, 143)
"""Exit codes of a command that SIGKILL has ended, as when memory runs out, and of one that was stopped in order."""
LONGEST = 300
"""Characters of a failure in the summary; the member's log has all of it."""


def run_sweep(configs: Sequence[DictConfig], n_jobs: int, per_gpu: int, first_number: int = 0) -> None:
    """Run the members that are missing, and exit with a summary.

    The exit code is that of the first member that failed, or 0; 128 more than the signal that ended the sweep.

    Args:
        configs: each member's composed config.
        first_number: of the members in this part of the sweep.
    """
    commands = [list(config.hydra.overrides.task) for config in configs]
    options = [options_of(config) for config in configs]
    refuse_twins(commands, options)
    runs = {folder: runs_in(Path(folder)) for folder in {each["runs"] for each in options}}
    folder = Path(configs[0].hydra.sweep.dir) / "members"
    folder.mkdir(parents=True, exist_ok=True)
    members = [
        member_of(command, each, runs[each["runs"]], folder / f"{first_number + i:04d}.log")
        for i, (command, each) in enumerate(zip(commands, options, strict=True))
    ]
    slots = slots_for(len(members), configs[0].trainer.accelerator, n_jobs, per_gpu)
    folders = config_dirs(configs[0].hydra)
    command = [sys.executable, sys.argv[0], *(part for path in folders for part in ("--config-dir", path))]
    pool = ProcessPool(command, slots)
    with View(members) as view:
        pool.run(members, view.refresh)
    summarize(members, folder, pool.received)


def options_of(config: DictConfig) -> dict[str, Any]:
    """A member's options, without Hydra's own."""
    return resolve(OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"]))


def refuse_twins(commands: Sequence[Sequence[str]], options: Sequence[dict[str, Any]]) -> None:
    """Refuse two members that do the same to the same run, such as those of seed=4,4, with an InputError."""
    settings = [(result_settings(each), *(each[name] for name in ("runs", "resume", "test"))) for each in options]
    for number, own in enumerate(settings):
        if (first := settings.index(own)) < number:
            both = " and ".join(f"'{' '.join(commands[each])}'" for each in (first, number))
            raise InputError(f"{both} would be the same run twice: leave one out")


def member_of(command: Sequence[str], options: dict[str, Any], runs: Sequence[RunFolder], log: Path) -> Member:
    """A sweep's member; it has ended already if it starts a run, and the same one of these runs is finished."""
    member = Member(command, log)
    starts = options["resume"] is None and options["test"] is None
    run = next(iter(same_runs(options, runs)), None) if starts else None
    if run and run.history.last == "finished":
        log.write_text(f"{finished_before(run, options)}\n", encoding="utf-8")
        member.exit_code = 0
    return member


def slots_for(members: int, accelerator: str, n_jobs: int, per_gpu: int) -> list[dict[str, str]]:
    """Environment variables for each of the places in which members run at once.

    Raises:
        InputError: for no place at all.
    """
    if n_jobs == 0 or per_gpu < 1:
        raise InputError(
            "hydra.launcher.n_jobs is how many run at once, or -1 for one on each core; per_gpu is 1 or more"
        )
    cores = joblib.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    places = gpus * per_gpu if gpus else cores
    count = max(1, min(members, places)) if n_jobs == -1 else joblib.effective_n_jobs(n_jobs)
    share = max(1, cores // count)
    common = {"OMP_NUM_THREADS": str(min(share, int(asked)) if asked.isdigit() and asked != "0" else share)}
    names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
    return [common | ({"CUDA_VISIBLE_DEVICES": names[i % gpus]} if gpus else {}) for i in range(count)]


class View:
    """What a person watches: on a terminal a table of the members that run, elsewhere a line for each that ends."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.ended: set[int] = set()
        # stdout goes through the table only where it is the same terminal, not where it is a file
        self.live = Live(
            console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty()
        )

    def __enter__(self) -> "View":
        if sys.stderr.isatty():
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def refresh(self) -> None:
        new = [i for i, member in enumerate(self.members) if member.exit_code is not None and i not in self.ended]
        for number in new:
            self.ended.add(number)
            member = self.members[number]
            done = f"{len(self.ended)} of {len(self.members)} members are done"
            print(f"sweep: {done}: {' '.join(member.overrides)}: {outcome(member).partition(':')[0]}", flush=True)
        if self.live.is_started:
            table = Table("member", "", title=f"{len(self.ended)} of {len(self.members)} members are done")
            for member in self.members:
                if member.is_running:
                    table.add_row(" ".join(member.overrides), member.last_line())
            self.live.update(table, refresh=True)


def outcome(member: Member) -> str:
    """What came of a member, in a few words."""
    if member.exit_code is None:
        return "not started"
    if member.exit_code == 0:
        return "finished"
    if member.exit_code in STOPPED:
        return "stopped"
    if member.exit_code == KILLED:
        return "failed: its process was killed, perhaps for want of memory"
    return f"failed: {member.reason()}"


def summarize(members: Sequence[Member], folder: Path, received: Sequence[int]) -> None:
    """Say why members failed, each reason once, and end the command if not all of them are finished."""
    for member in members:
        result = {"overrides": list(member.overrides), "exit_code": member.exit_code, "outcome": outcome(member)}
        write_json(member.log.with_suffix(".json"), result)
    finished = sum(member.exit_code == 0 for member in members)
    print(f"sweep: {finished} of {len(members)} members are finished; see {folder}", flush=True)
    failed = [member for member in members if outcome(member).startswith("failed")]
    failures: dict[str, list[Member]] = {}
    for member in failed:
        failures.setdefault(outcome(member), []).append(member)
    for why, alike in failures.items():
        print(shorten(why, LONGEST, placeholder=" ..."), file=sys.stderr)
        for member in alike:
            print(f"  {' '.join(member.overrides)} (see {member.log})", file=sys.stderr)
    if received:
        requeued = f": {slurm.requeue()}" if received[0] == slurm.REQUEUE_SIGNAL else ""
        why = f"stopped by {signal.Signals(received[0]).name}{requeued}"
        fail(f"{why}. The same command goes on with the whole sweep", 128 + received[0])
    if failed:
        sys.exit(failed[0].exit_code)
    if finished < len(members):
        fail("some members were stopped. The same command goes on with the whole sweep", STOPPED[1])
