"""Compose the config, train, test, draw the figures: ``python train.py model=wgan stabilize=noisy_labels``."""

from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gans.cli import heavy_imports, one_line_errors, run_command
from gans.devices import require_accelerator
from gans.errors import InputError
from gans.options import plain
from gans.run import Run
from gans.settings import precheck
from gans.slurm import was_requeued
from gans.sweep import run_member

BUDGET = ("trainer.max_epochs", "trainer.max_steps")


def options_besides(name: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """The names of the options that were given along with one; a run that exists keeps its own config.

    Raises:
        InputError: for others than those allowed.
    """
    given = {text.partition("=")[0]: text for text in HydraConfig.get().overrides.task}
    others = [text for option, text in given.items() if option not in (name, *allowed)]
    if others:
        but = f" but for {' and '.join(allowed)}" if allowed else ""
        raise InputError(f"{name}=... takes the run's own config{but}, so it can't be combined with {' '.join(others)}")
    return [option for option in given if option != name]


def carry_out(config: DictConfig) -> Run:
    """What the command line asks for."""
    options = plain(config)
    one_of_many = HydraConfig.get().mode == RunMode.MULTIRUN
    given = [name for name in ("resume", "test") if options[name] is not None]
    if given:
        longer = options_besides(given[0], BUDGET if given == ["resume"] else ())
        run = Run(Path(str(options[given[0]])))
    else:
        precheck(options)
        if not (one_of_many or was_requeued()):  # those may be finished, or go on
            require_accelerator(options["trainer"].get("accelerator", "auto"))
    with heavy_imports():
        from gans.running import resume_run, run_once, start_or_requeued, test_run  # noqa: PLC0415, help and wrong options need not wait for it

    if given == ["resume"]:
        budget = {option.removeprefix("trainer."): OmegaConf.select(config, option) for option in longer}
        return resume_run(run.path, budget)
    if given:
        return test_run(run.path)
    start = run_once if one_of_many else start_or_requeued
    return start(options, HydraConfig.get().runtime.choices)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> dict[str, Any] | None:
    with one_line_errors():
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return run_member(lambda: carry_out(config))
        carry_out(config)
    return None


if __name__ == "__main__":
    run_command(main)
