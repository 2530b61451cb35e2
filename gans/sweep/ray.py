"""Members as tasks of Ray, on this machine or on a cluster."""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field, PositiveInt, PrivateAttr
from typing_extensions import override

from gans.errors import InputError, one_line
from gans.sweep.engine import POLL_SECONDS, Engine
from gans.sweep.member import KILLED, LEADER, STOPPED, Member

CONNECT_SECONDS = 10
START_SECONDS, START_TRIES = 60, 3
"""Ray's parts wait for one another while they start, some for 15 seconds at most: on a busy machine it can fail."""


OR_HERE = "leave hydra.launcher.address out to start Ray here"


class Ray(Engine):
    address: str | None
    cpus: PositiveInt
    gpus: Annotated[float, Field(ge=0)]
    _ray: Any = PrivateAttr(None)
    _task: Any = PrivateAttr(None)
    _running: dict[Member, Any] = PrivateAttr(default_factory=dict)
    """The reference of each member's task."""

    @override
    def open(self) -> None:
        """Connect to Ray. Ray that is started here listens on 127.0.0.1 only."""
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray takes the host's address for 127.0.0.1
        os.environ.setdefault("RAY_raylet_start_wait_time_s", str(START_SECONDS))
        try:
            import ray  # noqa: PLC0415 - an extra, which most installations lack
        except ImportError as error:
            raise InputError("hydra/launcher=ray needs Ray: pip install -e '.[ray]'") from error
        options: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
        if self.address is not None:
            require_answer(self.address)
            options = {"address": self.address}
        for tries_left in reversed(range(START_TRIES if self.address is None else 1)):
            try:
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
                break
            except Exception as error:  # its class depends on what is wrong
                if not tries_left:
                    where = "Ray does not start here" if self.address is None else f"no Ray at {self.address}"
                    hint = "" if self.address is None else f"; {OR_HERE}"
                    raise InputError(f"hydra/launcher=ray: {where}: {one_line(error)}{hint}") from error
        asked = {"CPU": self.cpus, "GPU": self.gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(kind, 0) >= count for kind, count in asked.items()) for node in nodes):
            ray.shutdown()
            machines = {f"{node.get('CPU', 0):g} cores and {node.get('GPU', 0):g} GPUs" for node in nodes}
            raise InputError(
                f"no machine has hydra.launcher.cpus={self.cpus} and hydra.launcher.gpus={self.gpus:g}: use as many as "
                f"one of them has: {'; '.join(sorted(machines)) or 'none is there'}"
            )
        self._ray, self._task = ray, ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(task_function())

    @override
    def start(self, members: Sequence[Member]) -> None:
        environment = {name: value for name, value in os.environ.items() if name.startswith("GANS_")}
        environment["OMP_NUM_THREADS"] = str(self.cpus)
        if not self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves all of them visible to a task that asks for none
        for member in members:
            member.log.unlink(missing_ok=True)  # a member of a killed leader may still write to it
            log = str(member.log.absolute())
            self._running[member] = self._task.remote([*member.command], environment, os.getcwd(), log)

    @override
    def poll(self, members: Sequence[Member]) -> None:
        ended, _ = self._ray.wait([*self._running.values()], num_returns=len(self._running), timeout=0)
        for member in [member for member, task in self._running.items() if task in ended]:
            try:
                member.exit_code = self._ray.get(self._running.pop(member))
            except self._ray.exceptions.TaskCancelledError:
                member.exit_code = STOPPED[0]
            except self._ray.exceptions.RayTaskError as error:  # such as of a machine without this folder
                member.log.write_text(f"error: it could not be started: {one_line(error.cause)}\n", encoding="utf-8")
                member.exit_code = 1
            except self._ray.exceptions.RayError:  # the task was killed, or its machine is gone
                member.exit_code = KILLED

    @override
    def stop(self, members: Sequence[Member], kill: bool) -> None:
        for task in self._running.values():
            self._ray.cancel(task, force=kill)

    @override
    def close(self) -> None:
        if self._ray:
            self._ray.shutdown()


def require_answer(address: str) -> None:
    """Refuse a cluster's address at which nobody answers: Ray itself waits for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if colon:  # not "auto"
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"Ray can't be reached at hydra.launcher.address={address}: {one_line(error)}; {OR_HERE}"
        ) from error


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
