"""Members as tasks of Ray, on this machine or on a cluster."""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from gans.errors import InputError, one_line
from gans.sweep.member import KILLED, LEADER, STOPPED, Member, on_signals

POLL_SECONDS = 0.2
CONNECT_SECONDS = 10
START_SECONDS, START_TRIES = 60, 3
"""Ray's parts wait for one another while they start, some for 15 seconds at most: on a busy machine it can fail."""


@dataclass
class RayTasks:
    """An engine that makes each member a task, which starts its command and passes signals on to it.

    Args:
        command: what comes before a member's overrides.
        address: of a running cluster; None: Ray is started on this machine, and listens on 127.0.0.1 only.
        cpus: cores of each member, and its number of threads.
        gpus: of each member.
        n_jobs: members at once; -1: as many as there is room for.
    """

    command: Sequence[str]
    address: str | None
    cpus: int
    gpus: float
    n_jobs: int
    received: list[int] = field(default_factory=list)
    leaves: str = ""

    @property
    def at_once(self) -> int | None:
        return None if self.n_jobs == -1 else self.n_jobs

    def run(self, members: Sequence[Member], show: Callable[[], None]) -> None:
        """Run all members that have not ended. The first signal asks them to save and stop; a later one kills tasks."""
        waiting = [member for member in members if member.exit_code is None]
        if waiting:
            ray = self._connect()
            try:
                self._run(ray, waiting, show)
            finally:
                ray.shutdown()
        show()

    def _connect(self) -> ModuleType:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray takes the host's address for 127.0.0.1
        os.environ.setdefault("RAY_raylet_start_wait_time_s", str(START_SECONDS))
        try:
            import ray  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise InputError("hydra/launcher=ray needs Ray: pip install -e '.[ray]'") from error
        if self.address is not None:
            require_answer(self.address)
        here: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
        options = here if self.address is None else {"address": self.address}
        tries = START_TRIES if self.address is None else 1
        for attempt in range(tries):
            try:
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
                break
            except Exception as error:  # its class depends on what is wrong
                if attempt == tries - 1:
                    where = (
                        f"be reached at hydra.launcher.address={self.address}" if self.address else "be started here"
                    )
                    raise InputError(f"Ray can't {where}: {one_line(error)}") from error
        return ray

    def _run(self, ray: ModuleType, waiting: list[Member], show: Callable[[], None]) -> None:
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(task_function())
        self._require_room(ray)
        environment = {name: value for name, value in os.environ.items() if name.startswith("GANS_")}
        environment["OMP_NUM_THREADS"] = str(self.cpus)
        running: dict[Any, Member] = {}
        answered = 0
        with on_signals(self.received):
            while running or (waiting and not self.received):
                while waiting and not self.received and (self.n_jobs == -1 or len(running) < self.n_jobs):
                    member = waiting.pop(0)
                    member.state = "waits for room"
                    log = str(member.log.absolute())
                    running[task.remote([*self.command, *member.overrides], environment, os.getcwd(), log)] = member
                if len(self.received) > answered:
                    for reference in running:
                        ray.cancel(reference, force=answered > 0)
                    answered = len(self.received)
                done, _ = ray.wait([*running], num_returns=len(running), timeout=POLL_SECONDS)
                for member in running.values():
                    if not member.is_running and member.log.exists():
                        member.start()
                for reference in done:
                    end(running.pop(reference), reference, ray)
                show()

    def _require_room(self, ray: ModuleType) -> None:
        """Refuse members that would wait for ever."""
        asked = {"CPU": self.cpus, "GPU": self.gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(kind, 0) >= count for kind, count in asked.items()) for node in nodes):
            raise InputError(
                f"no machine has hydra.launcher.cpus={self.cpus} cores and hydra.launcher.gpus={self.gpus} GPUs"
            )


def require_answer(address: str) -> None:
    """Refuse a cluster's address at which nobody answers: Ray itself waits for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:  # "auto"
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise InputError(f"Ray can't be reached at hydra.launcher.address={address}: {one_line(error)}") from error


def end(member: Member, reference: Any, ray: ModuleType) -> None:
    """Take over what has become of a member's task."""
    try:
        member.end(ray.get(reference))
    except ray.exceptions.TaskCancelledError:
        member.state = "not started"
        if member.is_running:
            member.end(STOPPED[1])
    except ray.exceptions.RayError:  # the task was killed, or its machine is gone
        member.end(KILLED)


def task_function() -> Callable[[Sequence[str], dict[str, str], str, str], int]:
    """What a task runs: a local function, which Ray copies to machines that have not imported this package."""

    def run_member(command: Sequence[str], environment: dict[str, str], folder: str, log: str) -> int:
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment, LEADER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            while process.poll() is None:  # Ray's cancelling interrupts no wait()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    return run_member
