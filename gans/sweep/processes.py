"""Members as processes on this machine."""

import os
import subprocess
from collections.abc import Collection, Sequence

import joblib
import torch
from pydantic import PositiveInt, PrivateAttr
from typing_extensions import override

from gans.errors import InputError
from gans.sweep.engine import Engine
from gans.sweep.member import LEADER, Member


class Processes(Engine):
    per_gpu: PositiveInt
    _slots: list[dict[str, str]] = PrivateAttr([])
    _running: dict[int, tuple[Member, subprocess.Popen[bytes]]] = PrivateAttr(default_factory=dict)
    """What runs in each slot."""

    @override
    def prepare(self, members: int, accelerators: Collection[str]) -> None:
        if self.n_jobs != -1 and self.per_gpu > 1:
            raise InputError(
                f"hydra.launcher.n_jobs={self.n_jobs} says how many members run at once, and so does "
                f"hydra.launcher.per_gpu={self.per_gpu}: leave one of them out"
            )
        self._slots = slots_for(members, accelerators, self.n_jobs, self.per_gpu)

    @property
    @override
    def at_once(self) -> int:
        return len(self._slots)

    @override
    def start(self, members: Sequence[Member]) -> None:
        free = [slot for slot in range(len(self._slots)) if slot not in self._running]
        for slot, member in zip(free, members, strict=False):
            member.log.unlink(missing_ok=True)  # a member of a killed leader may still write to it
            with member.log.open("wb") as log:
                process = subprocess.Popen(
                    member.command,
                    env={**os.environ, **self._slots[slot], LEADER: str(os.getpid())},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches the leader, which passes it on once
                )
            self._running[slot] = member, process

    @override
    def poll(self, members: Sequence[Member]) -> None:
        for slot, (member, process) in list(self._running.items()):
            if (code := process.poll()) is not None:
                member.exit_code = code if code >= 0 else 128 - code
                del self._running[slot]

    @override
    def stop(self, members: Sequence[Member], kill: bool) -> None:
        for _, process in self._running.values():
            (process.kill if kill else process.terminate)()


def slots_for(members: int, accelerators: Collection[str], n_jobs: int, per_gpu: int) -> list[dict[str, str]]:
    """Environment variables for each of the places in which members run at once."""
    cores, asked = joblib.cpu_count(), os.environ.get("OMP_NUM_THREADS", "")
    gpus = 0 if {"auto", "gpu", "cuda"}.isdisjoint(accelerators) else torch.cuda.device_count()
    count = max(1, min(members, gpus * per_gpu or cores)) if n_jobs == -1 else n_jobs
    share = max(1, cores // count)
    threads = {"OMP_NUM_THREADS": str(min(share, int(asked)) if asked.isdigit() and asked != "0" else share)}
    names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
    return [threads | ({"CUDA_VISIBLE_DEVICES": names[i % gpus]} if gpus else {}) for i in range(count)]
