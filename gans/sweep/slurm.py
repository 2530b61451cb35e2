"""Members as one array of SLURM jobs, which outlive the process that submits them."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gans.errors import InputError
from gans.run.folder import lock
from gans.sweep.member import KILLED, LEADER, NO_LEADER, STOPPED, Member, on_signals, read_result

ASK_SECONDS, POLL_SECONDS = 5.0, 0.2
"""Between two looks at SLURM's queue, which all users share, and at signals."""
LOCK_SECONDS = 60.0
"""Asking and submitting takes seconds; another command may be at it."""
PATIENCE_SECONDS = 10.0
"""How long the file with an exit code may need to appear in a folder that machines share."""

SCRIPT = """#!/bin/bash
# A signal reaches the member; this shell then still writes down its exit code.
trap : TERM
case $SLURM_ARRAY_TASK_ID in
{cases}
esac
exec >> "$log" 2>&1
rm -f "$exit_code_file"
export {leader}={no_leader} OMP_NUM_THREADS={cpus}
srun --ntasks=1 --cpus-per-task={cpus} {command} "$@"
code=$?
[ $code = {requeue_code} ] && scontrol requeue $SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID  # it was not able to yet
echo $code > "$exit_code_file"
"""


@dataclass
class SlurmArray:
    """An engine that submits all members that are not in SLURM yet as one array.

    Args:
        command: what comes before a member's overrides.
        arguments: of sbatch.
        cpus: threads of each member.
        n_jobs: members at once; -1: as many as SLURM starts.
        wait: until all members have ended; else return once they are submitted.
    """

    command: Sequence[str]
    arguments: Sequence[str]
    cpus: int
    n_jobs: int
    wait: bool
    received: list[int] = field(default_factory=list)
    _in_slurm: list[Member] = field(default_factory=list)
    """Members that have not ended when this returns."""
    _trouble: str = ""
    _missing_since: dict[str, float] = field(default_factory=dict)

    @property
    def at_once(self) -> int | None:
        return None if self.n_jobs == -1 else self.n_jobs

    def run(self, members: Sequence[Member], show: Callable[[], None]) -> None:
        """Submit members that have not ended and are not in SLURM already. A signal ends the waiting alone."""
        waiting = [member for member in members if member.exit_code is None]
        if not waiting:
            show()
            return
        sweeps = waiting[0].log.parent.parent.parent
        with on_signals(self.received):
            with lock(sweeps, "submits members of a sweep", LOCK_SECONDS):
                self._find_submitted(waiting, sweeps, states())
                new = [member for member in waiting if member.exit_code is None and member.job is None]
                if new and not self.received:
                    self._submit(new)
            next_look = time.monotonic()
            while self.wait and not self.received and any(member.exit_code is None for member in waiting):
                if time.monotonic() >= next_look:
                    self._look(waiting)
                    next_look = time.monotonic() + ASK_SECONDS
                show()
                time.sleep(POLL_SECONDS)
        self._in_slurm = [member for member in waiting if member.job and member.exit_code is None]
        show()

    @property
    def leaves(self) -> str:
        arrays = sorted({str(member.job).partition("_")[0] for member in self._in_slurm})
        count = len(self._in_slurm)
        return f"{count} members go on in SLURM; 'scancel {' '.join(arrays)}' cancels them" if count else ""

    def _find_submitted(self, members: Sequence[Member], sweeps: Path, queue: Mapping[str, str]) -> None:
        """Find members that SLURM has from an earlier command, and those that have failed since, which nobody knows."""
        results = {path: read_result(path) for path in sorted(sweeps.glob("*/members/*.json"))}
        newest = {result["identity"]: path for path, result in results.items() if result.get("job")}
        for member in members:
            if member.identity not in newest:
                continue
            path = newest[member.identity]
            job, log = str(results[path]["job"]), path.with_suffix(".log")
            code = Member(member.overrides, log).left_exit_code()
            if job in queue:
                member.log, member.job, member.state = log, job, "in SLURM's queue"
            elif results[path]["exit_code"] is None and code not in (0, *STOPPED):
                member.log, member.job = log, job
                member.end(KILLED if code is None else code)

    def _submit(self, members: Sequence[Member]) -> None:
        cases = [
            f"{number}) log={quoted(member.log)} exit_code_file={quoted(member.exit_code_file)}; "
            f"set -- {shlex.join(member.overrides)} ;;"
            for number, member in enumerate(members)
        ]
        script = SCRIPT.format(
            cases="\n".join(cases),
            leader=LEADER,
            no_leader=NO_LEADER,
            cpus=self.cpus,
            command=shlex.join(self.command),
            requeue_code=128 + signal.SIGUSR1,
        )
        most = "" if self.n_jobs == -1 else f"%{self.n_jobs}"
        array = ask("sbatch", *self.arguments, f"--array=0-{len(members) - 1}{most}", text=script).partition(";")[0]
        for number, member in enumerate(members):
            member.job, member.state = f"{array.strip()}_{number}", "in SLURM's queue"
            member.write_result()

    def _look(self, members: Sequence[Member]) -> None:
        try:
            queue = states()
        except InputError as error:  # SLURM's controller may be away for a while, and jobs go on
            if str(error) != self._trouble:
                print(f"warning: {error}: asking again", file=sys.stderr, flush=True)
            self._trouble = str(error)
            return
        for member in members:
            if member.exit_code is not None:
                continue
            state = queue.get(str(member.job))
            if state is not None:
                self._missing_since.pop(str(member.job), None)
                if state == "RUNNING" and not member.is_running:
                    member.start()
                elif state != "RUNNING":
                    member.state, member.started = f"{state.lower()} in SLURM's queue", None
                continue
            missing_since = self._missing_since.setdefault(str(member.job), time.monotonic())
            code = member.left_exit_code()
            if code is not None or time.monotonic() - missing_since > PATIENCE_SECONDS:
                member.end(KILLED if code is None else code)


def sbatch_arguments(
    partition: str | None,
    limit: str | int | None,
    memory: str | int | None,
    gpus: int,
    cpus: int,
    more: Mapping[str, str | int],
) -> list[str]:
    named = {"partition": partition, "time": limit, "mem": memory, "gres": f"gpu:{gpus}" if gpus else None}
    own = ("--parsable", "--requeue", "--signal=USR1@90", "--job-name=gans-sweep", "--output=/dev/null")
    given = [f"--{name}={value}" for name, value in {**named, **more}.items() if value is not None]
    return [*own, "--ntasks=1", f"--cpus-per-task={cpus}", *given]


def states() -> dict[str, str]:
    """The state of each of the user's jobs that has not ended, by its id, of an array's job ``<array>_<number>``."""
    lines = ask("squeue", "--me", "--noheader", "--array", "--format=%i %T").splitlines()
    return {job: state for job, _, state in (line.strip().partition(" ") for line in lines)}


def ask(program: str, *arguments: str, text: str = "") -> str:
    """What one of SLURM's commands prints; an InputError if it fails."""
    # inside a job the variables of that job would count as options
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment |= {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    command = [program, *arguments]
    try:
        done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise InputError(
            f"SLURM's command {program} is not here: hydra/launcher=slurm needs a machine that submits to SLURM; "
            "hydra/launcher=processes runs the members on this one"
        ) from error
    except subprocess.CalledProcessError as error:
        raise InputError(f"{program} failed: {' '.join(error.stderr.split())}") from error
    return done.stdout


def quoted(path: Path) -> str:
    return shlex.quote(str(path.absolute()))
