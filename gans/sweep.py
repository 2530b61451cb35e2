"""A sweep: members fail or were finished before, and the others run all the same."""

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from gans.cli import EXPECTED, exit_code_of, explain
from gans.errors import InterruptedTraining
from gans.files import write_json
from gans.run import Run


def run_member(task: Callable[[], Run]) -> dict[str, Any]:
    """What came of one member: its run folder, or why it failed, and the exit code that it would have had alone."""
    try:
        return {"run": str(task().path), "failed": None, "exit_code": 0}
    except InterruptedTraining as stop:
        message = f"{stop}. The same command goes on with the whole sweep"
        raise InterruptedTraining(message, stop.signal_number) from None
    except EXPECTED as error:
        return {"run": None, "failed": explain(error), "exit_code": exit_code_of(error)}
    except Exception as error:
        traceback.print_exc()
        return {"run": None, "failed": f"{type(error).__name__}: {error}", "exit_code": 1}


class Report(Callback):
    """Keeps what came of each member in the sweep's folder, and ends the sweep with a summary.

    The exit code is that of the first member that failed, or 0.
    """

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        came_of_it = {"overrides": list(config.hydra.overrides.task), **job_return.return_value}
        if came_of_it["failed"]:
            print(f"failed: {' '.join(came_of_it['overrides'])}: {came_of_it['failed']}", file=sys.stderr, flush=True)
        folder = Path(config.hydra.sweep.dir) / "members"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{config.hydra.job.num:04d}.json", came_of_it)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir) / "members"
        members = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
        failed = [member for member in members if member["failed"]]
        print(f"sweep: {len(members) - len(failed)} of {len(members)} members are finished; see {folder}", flush=True)
        for member in failed:
            print(f"failed: {' '.join(member['overrides'])}: {member['failed']}", file=sys.stderr)
        if failed:
            sys.exit(failed[0]["exit_code"])
