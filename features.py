"""The feature network by which images of a data set are judged: ``python features.py data=mnist``."""

import hydra
from omegaconf import DictConfig

from gans.cli import heavy_imports, one_line_errors, run_command
from gans.options import plain
from gans.settings import recipe_of


@hydra.main(version_base="1.3", config_path="conf", config_name="features")
def main(config: DictConfig) -> None:
    with one_line_errors():
        recipe = recipe_of(plain(config))
        with heavy_imports():
            from gans.features.making import make_features  # noqa: PLC0415, help and wrong options need not wait for it

        path = make_features(recipe)
        print(f"feature network: {path}\n{path.with_suffix('.json').read_text(encoding='utf-8').strip()}")


if __name__ == "__main__":
    run_command(main)
