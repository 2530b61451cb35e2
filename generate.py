"""Generate samples with a trained run: ``python generate.py run=<run folder or checkpoint> count=64 seed=1``."""

import hydra
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="generate")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)

        from gans.config.schema import GenerateConfig  # these take seconds: help and Hydra's errors come before
        from gans.config.validate import check_options
        from gans.run.generate import generate
        from gans.run.prepare import prepare

        prepare()
        print(f"images: {generate(check_options(GenerateConfig, options))}")


if __name__ == "__main__":
    run_command(main)
