"""A sweep: members run several at once, fail or were finished before, and the others run all the same."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from gans.config.command_line import EXPECTED, exit_code_of, explain, fail
from gans.errors import InputError, InterruptedTraining
from gans.files import write_json
from gans.run import slurm
from gans.run.folder import RunFolder
from gans.sweep.jobs import count_members, follow, jobs_at_once, lead_jobs, start_anew, stop_leading, stoppable, stopped

_ended: list[int] = []
"""The signals that have stopped a member in this process: the members after it don't start."""


def run_member(task: Callable[[], RunFolder]) -> dict[str, Any]:
    """What came of one member: its run folder, or why it failed, and the exit code that it would have had alone.

    Of one that was stopped, or did not start because another was, the number of the signal.
    """
    try:
        if not _ended:
            with stoppable():
                return {"run": str(task().path), "failed": None, "exit_code": 0}
    except InterruptedTraining as stop:
        print(stop, file=sys.stderr, flush=True)
        _ended.append(stop.signal_number)
    except Exception as error:
        if number := stopped():
            _ended.append(number)
        elif isinstance(error, EXPECTED):
            return {"run": None, "failed": explain(error), "exit_code": exit_code_of(error)}
        else:
            traceback.print_exc()
            return {"run": None, "failed": f"{type(error).__name__}: {error}", "exit_code": 1}
    return {"stopped": _ended[0]}


class SweepSummary(Callback):
    """Runs members side by side, keeps what came of each in the sweep's folder, and ends the sweep with a summary.

    The exit code is that of the first member that failed, or 0; 128 more than the signal that ended the sweep.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        _ended.clear()
        start_anew()
        self.leader = os.getpid()
        self.members = count_members(config)
        launcher = config.hydra.launcher
        try:
            self.jobs = jobs_at_once(self.members, config.trainer.accelerator, launcher.get("n_jobs", 1))
        except InputError as error:
            fail(f"error: {error}", error.exit_code)
        if "n_jobs" in launcher:
            with open_dict(launcher):
                launcher.n_jobs = self.jobs
        if self.jobs > 1:
            lead_jobs()

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        if config.hydra.mode == RunMode.MULTIRUN and self.jobs > 1 and os.getpid() != self.leader:
            follow(self.leader, self.jobs)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        came_of_it = {"overrides": list(config.hydra.overrides.task), **job_return.return_value}
        if came_of_it.get("failed"):
            print(f"failed: {' '.join(came_of_it['overrides'])}: {came_of_it['failed']}", file=sys.stderr, flush=True)
        folder = Path(config.hydra.sweep.dir) / "members"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{config.hydra.job.num:04d}.json", came_of_it)
        done = len(members_in(folder))
        if "stopped" not in came_of_it and done < self.members:
            print(f"sweep: {done} of {self.members} members are done", flush=True)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        number = stop_leading()
        folder = Path(config.hydra.sweep.dir) / "members"
        members = members_in(folder)
        failed = [member for member in members if member.get("failed")]
        stopped_by = [member["stopped"] for member in members if "stopped" in member]
        finished = len(members) - len(failed) - len(stopped_by)
        print(f"sweep: {finished} of {self.members} members are finished; see {folder}", flush=True)
        for member in failed:
            print(f"failed: {' '.join(member['overrides'])}: {member['failed']}", file=sys.stderr)
        if stopped_by:
            requeued = f": {slurm.requeue()}" if number == slurm.REQUEUE_SIGNAL else ""
            ended_by = signal.Signals(number or stopped_by[0])
            fail(f"stopped by {ended_by.name}{requeued}. The same command goes on with the whole sweep", 128 + ended_by)
        if failed:
            sys.exit(failed[0]["exit_code"])
        if len(members) < self.members:
            fail(f"error: '{folder}' lacks {self.members - len(members)} of the members: run the same command again", 1)


def members_in(folder: Path) -> list[dict[str, Any]]:
    """What came of the members that have ended, in order."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
