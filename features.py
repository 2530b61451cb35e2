"""The feature network by which images of a data set are judged: ``python features.py data=mnist``."""

import hydra
from omegaconf import DictConfig

from gans.cli import one_line_errors, quiet, run_command
from gans.memory import nothing_is_garbage
from gans.options import plain
from gans.settings import check_recipe


@hydra.main(version_base="1.3", config_path="conf", config_name="features")
def main(config: DictConfig) -> None:
    with one_line_errors():
        options = plain(config)
        check_recipe(options)
        with nothing_is_garbage():  # help and wrong options need not wait for it
            from gans.features.making import make_features  # noqa: PLC0415

        quiet()
        path = make_features(options)
        print(f"feature network: {path}\n{path.with_suffix('.json').read_text(encoding='utf-8').strip()}")


if __name__ == "__main__":
    run_command(main)
