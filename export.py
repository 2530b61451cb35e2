"""Write a trained generator for other programs: ``python export.py run=<run folder or checkpoint> format=onnx``."""

import hydra
from omegaconf import DictConfig

from gans.config.command_line import check_overrides, one_line_errors, run_command
from gans.config.resolve import resolve


@hydra.main(version_base="1.3", config_path="conf", config_name="export")
def main(config: DictConfig) -> None:
    with one_line_errors():
        check_overrides()
        options = resolve(config)

        from gans.config.schema import ExportConfig  # these take seconds: help and Hydra's errors come before
        from gans.config.validate import check_options
        from gans.export.write import export
        from gans.run.prepare import prepare

        prepare()
        made = export(check_options(ExportConfig, options))
        print(f"{made.file}: differs from PyTorch by at most {made.difference:.1e}; model card: {made.card}")


if __name__ == "__main__":
    run_command(main)
