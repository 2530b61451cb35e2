"""Train and test a GAN, and draw its figures: ``python train.py model=wgan stabilize=noisy_labels``."""

import shlex
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gans.config.command_line import checked_options, one_line_errors, run_command
from gans.config.resolve import usual_options
from gans.config.shell import option_of
from gans.errors import InputError

MAY_CHANGE = {
    "resume": ("trainer.max_epochs", "trainer.max_steps", "data.root"),
    "test": ("sampling", "data.root"),
    "draw": ("formats", "figure"),
}
"""Options of an existing run that may differ from its config."""


def given_options(name: str) -> list[str]:
    """The options given with a command for an existing run; an InputError for options that it can't change."""
    given = {option_of(text): text for text in HydraConfig.get().overrides.task}
    allowed = (*MAY_CHANGE[name], "trust")
    others = [text for option, text in given.items() if not {option, option.partition(".")[0]} & {name, *allowed}]
    if others:
        raise InputError(
            f"{name}=... uses the run's own config except for {', '.join(allowed)}, so it can't be combined with "
            f"{' '.join(others)}"
        )
    return [option for option in given if {option, option.partition(".")[0]} & {*MAY_CHANGE[name]}]


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Start, resume, test or draw a run."""
    with one_line_errors():
        options = checked_options(config, HydraConfig.get().overrides.task)
        command = next((name for name in MAY_CHANGE if options[name] is not None), None)
        changed = given_options(command) if command else []

        from gans.config.validate import validate  # these take seconds: help and Hydra's errors come before
        from gans.run import commands
        from gans.run.folder import RunFolder
        from gans.run.identity import run_name
        from gans.run.prepare import prepare
        from gans.run.slurm import requeuing
        from gans.run.stops import say_how_to_repeat
        from gans.sweep.member import follow_leader

        prepare()
        is_member = follow_leader()
        group = {option.partition(".")[0] for option in changed}
        if command == "draw":
            with say_how_to_repeat(shlex.join(["python", *sys.argv]), "while drawing"):
                run = RunFolder.around(Path(str(options["draw"])))
                own = {"own_figures": "figure" not in group, "own_formats": "formats" not in group}
                commands.redraw(run, validate(options), **own)
        elif command:
            run = RunFolder.around(Path(str(options[command])))
            limits = ("max_epochs", "max_steps")
            budget = {name: options["trainer"].get(name) for name in limits if f"trainer.{name}" in changed}
            sampling = options["sampling"] if "sampling" in group else None
            root = options["data"].get("root") if "data.root" in changed else None
            run_config = commands.read_config(run, options["trust"], budget, sampling, root)
            with requeuing():
                {"resume": commands.resume, "test": commands.test}[command](run, run_config)
        else:
            start = commands.start_resume_or_return if is_member else commands.start_or_requeued
            run_config, choices = validate(options), HydraConfig.get().runtime.choices
            usual = usual_options(choices, options)
            with requeuing():
                start(run_config, run_name(choices, options, usual), usual["trainer"])


if __name__ == "__main__":
    run_command(main)
