"""Judge images from anywhere: ``python evaluate.py images=<folder or .npz> data=mnist``."""

import hydra
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, prepare, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)

        from gans.run.evaluate import evaluate  # takes seconds: help and Hydra's errors come before

        prepare()
        print(f"figures: {evaluate(options)}")


if __name__ == "__main__":
    run_command(main)
