"""Images from a trained run: ``python generate.py run=<run folder or checkpoint> count=64 seed=1``."""

import hydra
from omegaconf import DictConfig

from gans.cli import one_line_errors, quiet, run_command
from gans.options import plain


@hydra.main(version_base="1.3", config_path="conf", config_name="generate")
def main(config: DictConfig) -> None:
    from gans.sampling import generate  # noqa: PLC0415, help and misspelt options need not wait for it

    quiet()
    with one_line_errors():
        print(f"images: {generate(plain(config))}")


if __name__ == "__main__":
    run_command(main)
