"""New folders for what commands make: they leave none behind when they fail."""

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gans.config.shell import hydra_overrides
from gans.errors import InputError, is_want_of_memory
from gans.files import making_folder, removing_empty, require_writable
from gans.gan import GAN
from gans.run.checkpoint_files import checkpoints_in, step_of
from gans.run.folder import RunFolder, run_of

FILES = (".html", ".npz", ".onnx", ".png", ".pt", ".safetensors", ".zip")
"""Endings of files, which nobody means as the name of a folder."""


def new_folder(parent: Path, name: str) -> Path:
    """Make ``parent/name``, or the first of ``name_2``, ``name_3``, ... that is free; an InputError if it can't."""
    if name in ("", ".."):  # such as of Path(".")
        raise InputError(f"'{parent / name}' exists: name a new folder, such as '{parent / name / 'new'}'")
    attempt = 1
    while True:
        folder = parent / (name if attempt == 1 else f"{name}_{attempt}")
        try:
            with making_folder(parent):
                folder.mkdir()
            return folder
        except FileExistsError as error:
            if not parent.is_dir():
                raise InputError(f"can't make '{folder}': '{parent}' is not a folder") from error
            attempt += 1
        except OSError as error:
            raise InputError(f"can't make '{folder}': {error.strerror}") from error


@contextmanager
def new_whole_folder(path: Path) -> Iterator[Path]:
    """A new folder, named as ``new_folder`` does, which an error removes again."""
    with removing_empty(path.parent):
        folder = new_folder(path.parent, path.name)
        try:
            yield folder
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):  # such as of a full disk, which names no file
                error.filename = error.filename or str(folder)
            raise


@contextmanager
def removing_refused(run: RunFolder, gan: GAN) -> Iterator[None]:
    """Remove a new run's folder after an InputError in its first training step or before.

    The folder stays if the error comes of the machine, such as a full disk or too little memory, or if the run was
    rolled back.
    """
    try:
        yield
    except InputError as error:
        # the checkpoints too, since the final test gives the GAN an earlier step
        is_trained = gan.training_steps or any(map(step_of, checkpoints_in(run.checkpoints, "last")))
        is_new = {event["event"] for event in run.history.events} <= {"started", "stopped"}
        of_machine = isinstance(error.__cause__, OSError) or is_want_of_memory(error.__cause__)
        if is_new and not is_trained and not of_machine:
            shutil.rmtree(run.path, ignore_errors=True)
            if isinstance(error.__cause__, InputError):  # ``record_stops`` has said how to resume the run
                raise error.__cause__ from None
        raise


def output_folder(output: str | None, path: Path, name: str) -> Path:
    """Where a command writes what it makes of a run: ``output``, or a folder of this name in the run, or for a file
    outside of a run beside it; an InputError if nothing can be written there, or if it is named as a file."""
    refuse_file_name(output)
    run = run_of(path)
    folder = Path(output) if output else (run.path if run else path.parent) / name
    try:
        require_writable(folder.parent)
    except InputError as error:
        raise InputError(f"{error}. Name another folder with output=...") from error
    return folder


def refuse_file_name(output: str | None) -> None:
    """Refuse an ``output`` that is named as a file where a folder is written, with an InputError."""
    if output and Path(output).suffix.lower() in FILES:
        (instead,) = hydra_overrides({"output": str(Path(output).with_suffix(""))})
        raise InputError(f"output={output} has a file's name, and a folder is written: use {shlex.quote(instead)}")
