"""Images from a trained run: ``python generate.py run=<run folder or checkpoint> count=64 seed=1``."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from gans.checking import validated
from gans.cli import heavy_imports, one_line_errors, run_command
from gans.options import plain
from gans.run import weights_of
from gans.settings import Request


@hydra.main(version_base="1.3", config_path="conf", config_name="generate")
def main(config: DictConfig) -> None:
    with one_line_errors():
        request = validated(Request, plain(config))
        weights_of(Path(request.run))  # that it is there
        with heavy_imports():
            from gans.sampling import generate  # noqa: PLC0415, help and wrong options need not wait for it

        print(f"images: {generate(request)}")


if __name__ == "__main__":
    run_command(main)
