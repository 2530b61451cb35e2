"""Hydra's launcher of this package, see conf/hydra/launcher/. Hydra looks for plugins in this place only."""

import atexit
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gans.config.command_line import refuse_hydra_settings
from gans.errors import InputError


class EngineLauncher(Launcher):
    """Runs each member of a sweep as a command in a process of its own, by one of the engines of ``gans.sweep``."""

    def __init__(self, **_: Any) -> None:
        """The engine reads its options itself, from Hydra's config."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.config = config
        refuse_hydra_settings(config.hydra.overrides.hydra, sweeps=True)
        in_batches = config.hydra.sweeper.get("max_batch_size") is not None
        if in_batches or config.hydra.runtime.choices["hydra/sweeper"] != "basic":
            raise InputError(
                "a sweep takes all its members together, so leave out hydra/sweeper and hydra.sweeper.max_batch_size: "
                "hydra.launcher.n_jobs says how many run side by side"
            )
        atexit.register(self.tidy)  # Hydra may refuse the sweep after it has written its file

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from gans.sweep.launch import run_sweep  # when a sweep runs: Hydra imports this file with every command

        self.tidy()
        configs = [self.loader.load_sweep_config(self.config, list(overrides)) for overrides in job_overrides]
        run_sweep(configs)
        return []

    def tidy(self) -> None:
        """Remove Hydra's file, which is of the last of all sweeps in this folder, and the folders that it has made."""
        folder = Path(self.config.hydra.sweep.dir)
        with suppress(OSError):
            (folder / "multirun.yaml").unlink()
        for empty in (folder, folder.parent):
            with suppress(OSError):
                empty.rmdir()
