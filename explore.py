"""One HTML page on which a trained generator runs: ``python explore.py run=<run folder or checkpoint>``."""

import hydra
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="explore")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)

        from gans.config.schema import ExploreConfig  # these take seconds: help and Hydra's errors come before
        from gans.config.validate import check_options
        from gans.explore.write import explore
        from gans.run.prepare import prepare

        prepare()
        made = explore(check_options(ExploreConfig, options))
        for note in made.notes:
            print(note)
        print(f"{made.file}: {made.file.stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    run_command(main)
