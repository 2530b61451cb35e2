"""Members as one array of SLURM jobs, which outlive the process that submits them."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, PositiveInt, PrivateAttr, model_validator
from typing_extensions import override

from gans.errors import InputError, warn
from gans.sweep.engine import Engine
from gans.sweep.member import KILLED, LEADER, STOPPED, Member

ASK_SECONDS, PATIENCE_SECONDS = 5.0, 10.0
"""Between two looks at SLURM's queue, which all users share; and until an exit code appears in a shared folder."""

OWN = {"array": "n_jobs", "cpus_per_task": "cpus"} | dict.fromkeys(
    ("ntasks", "requeue", "no_requeue", "parsable", "wrap", "test_only"), ""
)
"""Options of sbatch that would change what the launcher does, and which of its own to use instead."""

SCRIPT = """#!/bin/bash
trap : TERM  # it reaches the member, and this shell then still writes down the exit code
case $SLURM_ARRAY_TASK_ID in
{cases}
esac
exec >> "$log" 2>&1
rm -f "$log.exit"
export {leader}=none OMP_NUM_THREADS={cpus}
srun --ntasks=1 --cpus-per-task={cpus} "$@"
code=$?
[ $code = {requeue_code} ] && scontrol requeue $SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID  # it could not do so yet
echo $code > "$log.exit"
"""


class Slurm(Engine):
    """Two files lie beside each log: ``.job`` has the job's id until its end is reported, ``.exit`` the exit code."""

    model_config = ConfigDict(extra="allow")  # sbatch's own options

    cpus: PositiveInt
    wait: bool
    _queue: set[str] = PrivateAttr(default_factory=set)
    _asked: float = PrivateAttr(0.0)
    _missing_since: dict[Member, float] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _refuse_own(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if value is not None and (plain := name.replace("-", "_")) in OWN:
                instead = f"use hydra.launcher.{OWN[plain]}" if OWN[plain] else "leave it out"
                raise InputError(f"hydra.launcher.{name}={value}: the launcher decides this itself: {instead}")
        return self

    @property
    @override
    def at_once(self) -> None:
        """SLURM starts ``n_jobs`` at once; all are submitted."""

    @override
    def start(self, members: Sequence[Member]) -> None:
        """Submit members, except those of an earlier command that SLURM still has, or that have failed."""
        self._ask_for_queue()
        new = []
        for member in members:
            if (job := job_of(member)) is None or (job not in self._queue and ended(member) in (0, *STOPPED)):
                new.append(member)
            elif job not in self._queue:
                end(member)
        if new:
            self._submit(new)

    @override
    def poll(self, members: Sequence[Member]) -> None:
        if time.monotonic() - self._asked > ASK_SECONDS:
            try:
                self._ask_for_queue()
            except InputError as error:  # SLURM's controller may be away for a while, and jobs go on
                warn(f"{error}: asking again")
                self._asked = time.monotonic()
        for member in members:
            if job_of(member) in self._queue:
                self._missing_since.pop(member, None)
            elif member.exit_code is None:
                late = time.monotonic() - self._missing_since.setdefault(member, time.monotonic())
                if beside(member, "exit").exists() or late > PATIENCE_SECONDS:
                    end(member)

    @override
    def left(self, members: Sequence[Member], stopped: bool) -> str:
        if not members or (self.wait and not stopped):
            return ""
        arrays = sorted({str(job_of(member)).partition("_")[0] for member in members})
        return f"{len(members)} members go on in SLURM; 'scancel {' '.join(arrays)}' cancels them"

    def _ask_for_queue(self) -> None:
        self._queue = {*ask("squeue", "--me", "--noheader", "--array", "--format=%i").split()}
        self._asked = time.monotonic()

    def _submit(self, members: Sequence[Member]) -> None:
        for member in members:
            for path in (member.log, beside(member, "exit")):
                path.unlink(missing_ok=True)
        cases = [
            f"{i}) log={shlex.quote(str(member.log.absolute()))}; set -- {shlex.join(member.command)} ;;"
            for i, member in enumerate(members)
        ]
        script = SCRIPT.format(
            cases="\n".join(cases), leader=LEADER, cpus=self.cpus, requeue_code=128 + signal.SIGUSR1
        )  # fmt: skip
        most = "" if self.n_jobs == -1 else f"%{self.n_jobs}"
        given = {name.replace("_", "-"): value for name, value in (self.model_extra or {}).items() if value is not None}
        options = {"signal": "USR1@90", "job-name": "gans-sweep", "output": "/dev/null", **given}
        words = [f"--{name}" if value is True else f"--{name}={value}"
                 for name, value in options.items() if value is not False]  # fmt: skip
        own = ("--parsable", "--requeue", "--ntasks=1", f"--cpus-per-task={self.cpus}")
        array = ask("sbatch", *own, *words, f"--array=0-{len(members) - 1}{most}", text=script)
        for i, member in enumerate(members):
            beside(member, "job").write_text(f"{array.strip().partition(';')[0]}_{i}", encoding="utf-8")
            self._queue.add(f"{array.strip().partition(';')[0]}_{i}")


def beside(member: Member, kind: str) -> Path:
    return member.log.with_name(f"{member.log.name}.{kind}")


def job_of(member: Member) -> str | None:
    """The id of its job in SLURM, such as 7_0; None once its end has been reported."""
    path = beside(member, "job")
    return path.read_text(encoding="utf-8") if path.exists() else None


def ended(member: Member) -> int:
    """The exit code of a member that SLURM has no more; without one it was killed, or cancelled before it started."""
    path = beside(member, "exit")
    text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    return int(text) if text else KILLED if member.log.exists() else STOPPED[0]


def end(member: Member) -> None:
    member.exit_code = ended(member)
    beside(member, "job").unlink(missing_ok=True)


def ask(program: str, *arguments: str, text: str = "") -> str:
    """What one of SLURM's commands prints; an InputError if it fails."""
    # inside a job the variables of that job would count as options
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment |= {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    try:
        done = subprocess.run([program, *arguments], input=text, env=environment, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(
            f"SLURM's command {program} is not here: hydra/launcher=slurm needs a machine that submits to SLURM; "
            "hydra/launcher=processes runs the members on this one"
        ) from error
    if done.returncode != 0:
        raise InputError(f"{program} failed: {' '.join(done.stderr.split())}")
    return done.stdout
