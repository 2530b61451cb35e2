"""What can run members, by name, and the options of each: those of conf/hydra/launcher/."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import joblib
import torch
from omegaconf import OmegaConf
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from gans.config.schema import Options
from gans.config.validate import check_options
from gans.errors import InputError
from gans.sweep.member import Engine
from gans.sweep.processes import ProcessPool
from gans.sweep.ray import RayTasks
from gans.sweep.slurm import SlurmArray, sbatch_arguments


def _some(n_jobs: int) -> int:
    if n_jobs == 0:
        raise ValueError("it is how many run at once, or -1 for as many as there is room for")
    return n_jobs


MembersAtOnce = Annotated[int, Field(ge=-1), AfterValidator(_some)]


class ProcessOptions(Options):
    n_jobs: MembersAtOnce
    per_gpu: PositiveInt

    def engine(self, command: Sequence[str], members: int, accelerator: str) -> Engine:
        return ProcessPool(command, slots_for(members, accelerator, self.n_jobs, self.per_gpu))


class SlurmOptions(Options):
    partition: str | None
    time: int | str | None
    memory: int | str | None
    gpus: NonNegativeInt
    cpus: PositiveInt
    n_jobs: MembersAtOnce
    wait: bool
    sbatch: dict[str, str | int]

    def engine(self, command: Sequence[str], members: int, accelerator: str) -> Engine:
        arguments = sbatch_arguments(self.partition, self.time, self.memory, self.gpus, self.cpus, self.sbatch)
        return SlurmArray(command, arguments, self.cpus, self.n_jobs, self.wait)


class RayOptions(Options):
    address: str | None
    gpus: Annotated[float, Field(ge=0)]
    cpus: PositiveInt
    n_jobs: MembersAtOnce

    def engine(self, command: Sequence[str], members: int, accelerator: str) -> Engine:
        return RayTasks(command, self.address, self.cpus, self.gpus, self.n_jobs)


ENGINES: dict[str, type[ProcessOptions] | type[SlurmOptions] | type[RayOptions]] = {
    "processes": ProcessOptions,
    "slurm": SlurmOptions,
    "ray": RayOptions,
}


def make_engine(hydra: Any, command: Sequence[str], members: int, accelerator: str = "auto") -> Engine:
    """The engine that ``hydra/launcher=...`` names.

    Args:
        hydra: Hydra's own config.
        command: what comes before a member's overrides.
        members: how many there are.
        accelerator: Lightning's name of the members' device.

    Raises:
        InputError: for options of a wrong type or out of range, or a launcher that is not of this package.
    """
    name = hydra.runtime.choices["hydra/launcher"]
    if name not in ENGINES:
        raise InputError(f"hydra/launcher={name} is not of this package: choose from {', '.join(ENGINES)}")
    options: Any = OmegaConf.to_container(hydra.launcher, resolve=True)
    del options["_target_"]
    try:
        checked = check_options(ENGINES[name], options)
    except InputError as error:
        raise InputError(f"hydra.launcher.{error}") from error
    return checked.engine(command, members, accelerator)


def slots_for(members: int, accelerator: str, n_jobs: int, per_gpu: int) -> list[dict[str, str]]:
    """Environment variables for each of the places in which members run at once."""
    cores = joblib.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    places = gpus * per_gpu if gpus else cores
    count = max(1, min(members, places)) if n_jobs == -1 else n_jobs
    share = max(1, cores // count)
    common = {"OMP_NUM_THREADS": str(min(share, int(asked)) if asked.isdigit() and asked != "0" else share)}
    names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
    return [common | ({"CUDA_VISIBLE_DEVICES": names[i % gpus]} if gpus else {}) for i in range(count)]
