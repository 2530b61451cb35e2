"""Compose the config, train, test, draw the figures: ``python train.py model=wgan stabilize=noisy_labels``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gans.config.command_line import one_line_errors, prepare, run_command
from gans.config.resolve import resolve
from gans.errors import InputError

if TYPE_CHECKING:
    from gans.run.folder import RunFolder

MAY_CHANGE = {"resume": ("trainer.max_epochs", "trainer.max_steps"), "test": ()}
"""Options of an existing run that may differ from its config."""


def given_options(name: str) -> list[str]:
    """The names of the options that were given along with ``resume`` or ``test``.

    Raises:
        InputError: for options that an existing run's own config decides.
    """
    given = {text.lstrip("+~").partition("=")[0]: text for text in HydraConfig.get().overrides.task}
    allowed = (*MAY_CHANGE[name], "trust")
    others = [text for option, text in given.items() if option not in (name, *allowed)]
    if others:
        raise InputError(
            f"{name}=... takes the run's own config but for {' and '.join(allowed)}, so it can't be combined with "
            f"{' '.join(others)}"
        )
    return [option for option in given if option in MAY_CHANGE[name]]


def carry_out(config: DictConfig) -> "RunFolder":
    """Start, resume or test a run, as the command line asks."""
    options = resolve(config)
    asked = next((name for name in MAY_CHANGE if options[name] is not None), None)
    changed = given_options(asked) if asked else []

    from gans.config.validate import validate  # these take seconds: help and Hydra's errors come before
    from gans.machine import use_cores
    from gans.run import commands
    from gans.run.folder import RunFolder

    prepare()
    use_cores()
    if asked:
        run = RunFolder(Path(str(options[asked])))
        budget = {option.removeprefix("trainer."): OmegaConf.select(config, option) for option in changed}
        run_config = commands.config_of(run, options["trust"], budget)
        return {"resume": commands.resume, "test": commands.test}[asked](run, run_config)
    is_member = HydraConfig.get().mode == RunMode.MULTIRUN
    start = commands.start_resume_or_return if is_member else commands.start_or_requeued
    return start(validate(options), HydraConfig.get().runtime.choices)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> dict[str, Any] | None:
    with one_line_errors():
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            from gans.sweep.summary import run_member

            return run_member(lambda: carry_out(config))
        carry_out(config)
    return None


if __name__ == "__main__":
    run_command(main)
