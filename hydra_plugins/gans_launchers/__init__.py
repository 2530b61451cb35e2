"""Hydra's launcher of this package, see conf/hydra/launcher/. Hydra looks for plugins in this place only."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gans.config.command_line import refuse_hydra_settings


class EngineLauncher(Launcher):
    """Runs each member of a sweep as a command in a process of its own, by one of the engines of ``gans.sweep``."""

    def __init__(self, **_: Any) -> None:
        """The engine reads its options itself, from Hydra's config."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.config = config
        refuse_hydra_settings(config.hydra.overrides.hydra, sweeps=True)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from gans.sweep.launch import run_sweep  # when a sweep runs: Hydra imports this file with every command

        folder = Path(self.config.hydra.sweep.dir)
        # Hydra has just written it, for the last of all sweeps in this folder; another sweep may have removed it
        (folder / "multirun.yaml").unlink(missing_ok=True)
        try:
            configs = [self.loader.load_sweep_config(self.config, list(overrides)) for overrides in job_overrides]
            run_sweep(configs)
        finally:
            for empty in (folder, folder.parent):  # what Hydra has made for a sweep that is refused
                with suppress(OSError):
                    empty.rmdir()
        return []
