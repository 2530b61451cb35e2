"""A sweep: members run several at once, fail or were finished before, and the others run all the same."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from gans import slurm
from gans.cli import EXPECTED, exit_code_of, explain
from gans.errors import InterruptedTraining
from gans.files import write_json
from gans.jobs import count_members, follow, jobs_at_once, lead_jobs, received, stoppable
from gans.run import Run

_stopped: list[InterruptedTraining] = []
"""What has stopped a member in this process: the members after it don't start."""


def run_member(task: Callable[[], Run]) -> dict[str, Any]:
    """What came of one member: its run folder, or why it failed, and the exit code that it would have had alone.

    Of one that was stopped, or did not start because another was, the number of the signal.
    """
    try:
        if not _stopped:
            with stoppable():
                return {"run": str(task().path), "failed": None, "exit_code": 0}
    except InterruptedTraining as stop:
        print(stop, file=sys.stderr, flush=True)
        _stopped.append(stop)
    except EXPECTED as error:
        return {"run": None, "failed": explain(error), "exit_code": exit_code_of(error)}
    except Exception as error:
        traceback.print_exc()
        return {"run": None, "failed": f"{type(error).__name__}: {error}", "exit_code": 1}
    return {"stopped": _stopped[0].signal_number}


class Report(Callback):
    """Runs members side by side, keeps what came of each in the sweep's folder, and ends the sweep with a summary.

    The exit code is that of the first member that failed, or 0; 128 more than the signal that ended the sweep.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        _stopped.clear()
        self.leader = os.getpid()
        self.started = monotonic()
        self.members = count_members(config)
        launcher = config.hydra.launcher
        if launcher.get("n_jobs") == -1:
            with open_dict(launcher):
                launcher.n_jobs = jobs_at_once(self.members, config.trainer.accelerator)
        self.jobs = launcher.get("n_jobs", 1)
        if self.jobs > 1:
            lead_jobs()

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        if config.hydra.mode == RunMode.MULTIRUN and os.getpid() != self.leader:
            follow(self.leader, self.jobs)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN or "stopped" in job_return.return_value:
            return
        came_of_it = {"overrides": list(config.hydra.overrides.task), **job_return.return_value}
        if came_of_it["failed"]:
            print(f"failed: {' '.join(came_of_it['overrides'])}: {came_of_it['failed']}", file=sys.stderr, flush=True)
        folder = Path(config.hydra.sweep.dir) / "members"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{config.hydra.job.num:04d}.json", came_of_it)
        done = len(list(folder.glob("*.json")))
        if done < self.members:
            minutes = (monotonic() - self.started) / done * (self.members - done) / 60
            print(f"sweep: {done} of {self.members} members are done, about {minutes:,.0f} minutes left", flush=True)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir) / "members"
        members = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
        failed = [member for member in members if member["failed"]]
        finished = len(members) - len(failed)
        print(f"sweep: {finished} of {self.members} members are finished; see {folder}", flush=True)
        for member in failed:
            print(f"failed: {' '.join(member['overrides'])}: {member['failed']}", file=sys.stderr)
        number = received() or (_stopped[0].signal_number if _stopped else None)
        if number is not None:
            requeued = f": {slurm.requeue()}" if received() == slurm.REQUEUE_SIGNAL else ""
            name = signal.Signals(number).name
            print(
                f"stopped by {name}{requeued}. The same command goes on with the whole sweep",
                file=sys.stderr,
                flush=True,
            )
            sys.exit(128 + number)
        if failed:
            sys.exit(failed[0]["exit_code"])
