"""Train the feature network of a data set: ``python features.py data=emnist``."""

import hydra
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="features")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)

        from gans.run.make_features import make_features  # these take seconds: help and Hydra's errors come before
        from gans.run.prepare import prepare

        prepare()
        path = make_features(options)
        print(f"feature network: {path}\n{path.with_suffix('.json').read_text(encoding='utf-8').strip()}")


if __name__ == "__main__":
    run_command(main)
