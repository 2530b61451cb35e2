"""Judge images from anywhere: ``python evaluate.py images=<folder or .npz> data=mnist``."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, refuse_empty_choices, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)
        refuse_empty_choices(HydraConfig.get().overrides.task, options)

        from gans.run.evaluate import evaluate  # these take seconds: help and Hydra's errors come before
        from gans.run.prepare import prepare

        prepare()
        print(f"figures: {evaluate(options)}")


if __name__ == "__main__":
    run_command(main)
