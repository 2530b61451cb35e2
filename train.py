"""Compose the config, train, test, draw the figures: ``python train.py model=wgan stabilize=noisy_labels``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gans.building import plain
from gans.cli import one_line_errors, quiet, run_command
from gans.errors import InputError
from gans.running import resume_run, start_run, test_run


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    quiet()
    with one_line_errors():
        if config.resume is not None and config.test is not None:
            raise InputError("resume=... goes on training and test=... tests only: give one of them")
        if config.resume is not None:
            resume_run(Path(config.resume))
        elif config.test is not None:
            test_run(Path(config.test))
        else:
            start_run(plain(config), HydraConfig.get().runtime.choices)


if __name__ == "__main__":
    run_command(main)
