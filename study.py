"""Answer a question by many runs: ``python study.py study=first_steps``."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="study")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)

        from gans.run.prepare import prepare  # these take seconds: help and Hydra's errors come before
        from gans.study.ask import ask

        prepare()
        hydra_config = HydraConfig.get()
        name = hydra_config.runtime.choices.get("study")
        ask(options | ({"study": options["study"] or {}} if name else {}), name, hydra_config)


if __name__ == "__main__":
    run_command(main)
