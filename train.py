"""Compose the config, train, test, draw the figures: ``python train.py model=wgan stabilize=noisy_labels``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gans.building import plain
from gans.cli import one_line_errors, quiet, run_command
from gans.errors import InputError
from gans.running import resume_run, start_run, test_run


def only_option(name: str, config: DictConfig) -> Path:
    """The run folder that an option names, on its own: a run that exists keeps its own config."""
    others = [text for text in HydraConfig.get().overrides.task if not text.startswith(f"{name}=")]
    if others:
        raise InputError(f"{name}=... takes the run's own config, so it can't be combined with {' '.join(others)}")
    return Path(str(config[name]))


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    quiet()
    with one_line_errors():
        if config.resume is not None:
            resume_run(only_option("resume", config))
        elif config.test is not None:
            test_run(only_option("test", config))
        else:
            start_run(plain(config), HydraConfig.get().runtime.choices)


if __name__ == "__main__":
    run_command(main)
