"""What ``import gans`` offers: docs/python.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy
from hydra import compose as hydra_compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from numpy.typing import NDArray
from omegaconf import open_dict
from pydantic import ConfigDict, PrivateAttr

from gans.config.command_line import (
    check_overrides,
    checked_options,
    input_errors,
    make_importable,
    refuse_groups_of_options,
    refuse_hidden,
)
from gans.config.resolve import usual_options
from gans.config.schema import RunConfig, SeededChoice
from gans.config.shell import hydra_value, option_of
from gans.config.validate import check_options, check_value, validate
from gans.errors import InputError, InterruptedTraining, TrainingError
from gans.generator import Generator as Network
from gans.run import commands
from gans.run.diagnose import Verdict, read_verdict
from gans.run.folder import Grid, RunFolder
from gans.run.identity import run_name
from gans.run.in_process import ONE_RUN, as_a_command, hydra_state, named, own_random_numbers, usual_torch
from gans.run.sample import Sampler, load_sampler
from gans.run.test_results import TestResults, read_results

__all__ = [
    "Config",
    "Generator",
    "InputError",
    "InterruptedTraining",
    "Run",
    "TrainingError",
    "compose",
    "load",
    "resume",
    "train",
]

Curve = dict[str, NDArray[numpy.float64]]


class Config(RunConfig):
    """A run's options, which ``compose`` makes. Compose others instead of changing them: many depend on each other."""

    model_config = ConfigDict(frozen=True)

    _choices: dict[str, str] = PrivateAttr(default_factory=dict)
    _usual: dict[str, Any] = PrivateAttr(default_factory=dict)
    _folders: Sequence[str] = PrivateAttr(())
    _checked: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def run_name(self) -> str:
        """What the run's folder is called."""
        return run_name(self._choices, self.model_dump(), self._usual)


class Run:
    """The results of a run, read from its folder. Nothing is written. Of a run in training, a new object reads on.

    Args:
        path: the run folder, or a file in it, such as a checkpoint.

    Raises:
        InputError: if it is none; and by each attribute whose file is damaged or not there yet.
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = RunFolder.around(as_path(path).absolute())  # whatever folder the process changes to

    def __repr__(self) -> str:
        return f"gans.Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def config(self) -> dict[str, Any]:
        """All options, by group and name."""
        return self._folder.config

    @property
    def curves(self) -> dict[str, Curve]:
        """``curves[name]`` has the arrays ``step``, ``epoch`` and ``value``, with one entry per recorded point."""
        return self._folder.curves

    @property
    def test(self) -> dict[str, float]:
        """The final test of the last checkpoint: losses, accuracies and metrics by full name."""
        return self.test_results.checkpoints["last"].results

    @property
    def test_results(self) -> TestResults:
        """The whole final test, also of the best checkpoint, with the metrics of real images to compare with."""
        return read_results(self._folder.test_results_file)

    @property
    def floors(self) -> dict[str, float]:
        """The validation metrics of real training images, by full name."""
        return self._folder.floors

    @property
    def verdict(self) -> Verdict:
        """What happened in training, and from which step on."""
        return read_verdict(self._folder)

    @property
    def grids(self) -> list[Grid]:
        """The samples from fixed inputs during training, in order of their steps."""
        return self._folder.grids

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the data's classes by label."""
        return self._folder.class_names

    @property
    def figures(self) -> list[Path]:
        """The files in the run's folder of figures, with models.txt."""
        return sorted(path for path in self._folder.figures.glob("[!.]*") if path.is_file())


Integer = int | numpy.integer[Any]


class Generator:
    """A trained generator, which ``load`` reads."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    @property
    def network(self) -> Network:
        """The PyTorch module, in inference mode."""
        return self._sampler.trained.network

    @property
    def classes(self) -> list[str]:
        """The names of the classes that it was trained on."""
        return self._sampler.classes.chosen_names

    @property
    def config(self) -> dict[str, Any]:
        """All options of its run, by group and name."""
        return self._sampler.trained.config

    @property
    def training_steps(self) -> int:
        return self._sampler.trained.training_steps

    def sample(
        self,
        count: Integer,
        seed: Integer = 0,
        classes: Sequence[Integer | str] | NDArray[Any] | None = None,
        truncation: float | None = None,
    ) -> NDArray[Any]:
        """The images that ``generate.py`` makes with the same options and as many threads, to the bit.

        Args:
            classes: of a conditional generator, by name or number, in equal shares in order; None: all.
            truncation: the largest latents; None: no limit.

        Returns:
            uint8, shape (count, height, width), or channels last if there are three; of points float32, shape (count,
            dimensions).

        Raises:
            InputError: for values that make no sense for this generator.
        """
        options = plain({"count": count, "seed": seed, "classes": classes, "truncation": truncation})
        choice = check_options(SeededChoice, options)
        with usual_torch():
            return self._sampler.draw(choice, choice.seed).images

    def walk(
        self,
        count: Integer,
        walk: Integer,
        seed: Integer = 0,
        classes: Sequence[Integer | str] | NDArray[Any] | None = None,
        truncation: float | None = None,
        interpolation: str | None = None,
    ) -> NDArray[numpy.uint8]:
        """Images on the way from each sample of a seed to the next, or with several classes each from class to class.

        Args:
            walk: the number of images between two.
            interpolation: "spherical" or "linear"; None: spherical for normal latents, linear for others.

        Returns:
            Shape (walks, frames, height, width), or channels last.
        """
        options = plain({"count": count, "seed": seed, "classes": classes, "truncation": truncation})
        options |= plain({"walk": walk, "interpolation": interpolation})
        choice = check_options(SeededChoice, options)
        if choice.walk is None:
            raise InputError("walk=None: give the number of images between two samples, such as walk=8")
        with usual_torch():
            return self._sampler.walk(choice, choice.seed).images


def compose(*overrides: str, config_dir: str | Path | None = None) -> Config:
    """The options of ``python train.py <overrides>``, resolved and validated.

    Args:
        config_dir: a folder of your own with further choices and their Python files, as ``--config-dir``; it is added
            to ``sys.path``.

    Raises:
        InputError: for what the command refuses.
    """
    folders = own_folders(config_dir)
    with named(folders), input_errors():
        for text in overrides:
            if not isinstance(text, str):
                raise InputError(
                    f"an override is text such as 'seed=3', but this is of the type {type(text).__name__}: pass those "
                    "of a list one by one, as *options"
                )
            if option_of(text).startswith(("hydra.", "hydra/")):
                raise InputError(f"{text}: Hydra's own settings have no effect in Python: leave it out")
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            if override.is_sweep_override():
                raise InputError(f"{override.input_line} is several runs: compose each; a list is written as [a,b]")
        check_overrides(overrides)  # before Hydra, whose errors say less
        for folder in folders:
            refuse_groups_of_options(folder, overrides)
        with hydra_state():
            search = [f"hydra.searchpath={hydra_value([f'file://{folder}' for folder in folders])}"]
            composed = hydra_compose("config", [*overrides, *search], return_hydra_config=True)
            choices = {str(name): str(choice) for name, choice in composed.hydra.runtime.choices.items()}
            with open_dict(composed):
                del composed["hydra"]
            options = checked_options(composed, overrides)
            usual = usual_options(choices, options, search)
        for command in ("resume", "test", "draw"):
            if options[command] is not None:
                use = "gans.resume(path)" if command == "resume" else f"python train.py {command}=..."
                raise InputError(f"{command}={options[command]} is of an existing run: use {use}")
        config = Config(**validate(options).model_dump())
        config._choices, config._usual, config._folders = choices, usual, folders
        config._checked = config.model_dump()
        return config


def train(*options: str | Config, config_dir: str | Path | None = None) -> Run:
    """Train, test and draw a run in a new run folder, as ``python train.py <options>`` does.

    Args:
        options: overrides, or one result of ``compose``.
        config_dir: as in ``compose``, for overrides.

    Raises:
        InputError: for what the command refuses.
        TrainingError: if a value is not finite.
        InterruptedTraining: after Ctrl-C, or an interrupted notebook cell; a checkpoint is saved, but not after a
            second one. Signals arrive in
            Python's main thread only: in another thread nothing stops the run early.
    """
    with input_errors():
        if any(isinstance(each, RunConfig) for each in options):
            if len(options) > 1 or config_dir is not None or not isinstance(config := options[0], Config):
                raise InputError("gans.train takes overrides, or one config of gans.compose and nothing else")
        else:
            config = compose(*cast(tuple[str, ...], options), config_dir=config_dir)
        if config.model_dump() != config._checked:
            raise InputError("the config was changed after gans.compose had checked it: compose another instead")
        with as_a_command(config._folders):
            run_config, usual = validate(config.model_dump()), config._usual["trainer"]
            return Run(commands.start_or_requeued(run_config, config.run_name, usual).path)


def resume(
    path: str | Path,
    *,
    max_epochs: Integer | None = None,
    max_steps: Integer | None = None,
    trust: Sequence[str] | None = None,
    data_root: str | None = None,
    config_dir: str | Path | None = None,
) -> Run:
    """Go on with a run from its last checkpoint, as ``python train.py resume=<path>`` does.

    Args:
        max_epochs, max_steps: another length of training, such as a longer one for a finished run; None: the run's.
        trust: packages, beside this one and PyTorch, that the run's config may name; None: no others.
        data_root: where the images of ``data.root`` have been moved to.
        config_dir: the folder with the Python files of your own choices, as in ``compose``.

    Raises:
        InputError, TrainingError, InterruptedTraining: as ``train``.
    """
    with input_errors():
        folder = RunFolder.around(as_path(path))
        limits = plain({"max_epochs": max_epochs, "max_steps": max_steps})
        budget = {name: limit for name, limit in limits.items() if limit is not None}
        with as_a_command(own_folders(config_dir)):
            config = commands.read_config(folder, packages(trust), budget, data_root=data_root)
            return Run(commands.resume(folder, config).path)


def load(
    path: str | Path,
    trust: Sequence[str] | None = None,
    data_root: str | None = None,
    config_dir: str | Path | None = None,
) -> Generator:
    """The trained generator of a run folder, a checkpoint or an exported ``.safetensors`` file.

    Args:
        trust: packages, beside this one and PyTorch, whose classes its config may name; None: no others.
        data_root: replaces ``data.root`` of its config, for a generator that transforms held-out images.
        config_dir: the folder with the Python files of your own choices, as in ``compose``.

    Raises:
        InputError: if it is none of these, or is damaged; or while a run trains in another thread, whose random numbers
            this would change.
    """
    with input_errors():
        if ONE_RUN.locked():
            raise InputError("a run trains in this process: load others when it has ended, or in another process")
        with named(own_folders(config_dir)), usual_torch(), own_random_numbers():
            return Generator(load_sampler(as_path(path), packages(trust), data_root))


def own_folders(config_dir: str | Path | None) -> list[str]:
    """The user's folder of choices, if any, whose classes can be imported from now on."""
    folders = [] if config_dir is None else [str(as_path(config_dir).absolute())]
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(f"config_dir={folder}: there is no such folder")
        refuse_hidden(folder)
    make_importable(folders)
    return folders


def as_path(path: str | Path) -> Path:
    """A path; an InputError for what is none."""
    try:
        return Path(path)
    except TypeError as error:
        raise InputError(f"a path is text or a Path, but this is of the type {type(path).__name__}") from error


def packages(trust: Sequence[str] | None) -> list[str]:
    """The packages to trust; an InputError for what is no list of names."""
    names: list[str] = [] if trust is None else _plain(trust)
    check_value(list[str], names, "trust")
    return names


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as plain Python values: sequences as lists, NumPy's numbers as Python's."""
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, numpy.generic | numpy.ndarray):
        value = value.tolist()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return [_plain(each) for each in value] if is_list else value
