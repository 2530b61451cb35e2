"""Hydra's launchers of this package: ``hydra/launcher=processes``. Hydra looks for plugins in this place only."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gans.config.command_line import refuse_hydra_settings


class ProcessLauncher(Launcher):
    """Runs each member of a sweep as a command in a process of its own.

    Args:
        n_jobs: members at once; -1 is one for each core, or on GPUs ``per_gpu`` for each GPU.
        per_gpu: members at once on each GPU.
    """

    def __init__(self, n_jobs: int, per_gpu: int) -> None:
        self.n_jobs = n_jobs
        self.per_gpu = per_gpu

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.config = config
        refuse_hydra_settings(config.hydra.overrides.hydra)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from gans.sweep.launch import run_sweep  # when a sweep runs: Hydra imports this file with every command

        configs = [self.loader.load_sweep_config(self.config, list(overrides)) for overrides in job_overrides]
        run_sweep(configs, self.n_jobs, self.per_gpu, first_number=initial_job_idx)
        return []


@dataclass
class ProcessLauncherOptions:
    _target_: str = "hydra_plugins.gans_launchers.ProcessLauncher"
    n_jobs: int = -1
    per_gpu: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=ProcessLauncherOptions)
