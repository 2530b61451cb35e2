"""Writing files atomically, names of files, and the user's cache folder."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from gans.errors import InputError

PART = ".part"
STANDARD_LIBRARY = Path(os.__file__).parent
SHORT_WAIT = 0.5
"""Seconds that a process waits for another without a word."""
Format = Literal["png", "svg", "pdf"]
"""A format of figures."""


def file_name(text: str) -> str:
    """Text as the name of a file, another one for each text: "/" becomes "%2f"."""
    return re.sub(r"[%/\\]|^\.", lambda found: f"%{ord(found[0]):02x}", text)


def source_files(module: str) -> set[Path]:
    """The Python files of a module and of all that it imports from the folder in which it or its package lies.

    None of this package, and none of what is installed: that has versions.
    """
    top, spec = find_spec(module.partition(".")[0]), find_spec(module)
    if top is None or spec is None or not spec.has_location or spec.origin is None:  # such as a built-in module
        return set()
    place = Path(next(iter(top.submodule_search_locations or ()), top.origin or "")).parent
    if place == STANDARD_LIBRARY or {"site-packages", "dist-packages"} & {*place.parts}:
        return set()
    finder = ModuleFinder([str(place)], excludes=["gans"])
    try:
        finder.import_hook(module)
    except (ImportError, AttributeError):  # of a package without __init__.py, which it does not know
        return {Path(spec.origin)}
    return {Path(file) for found in finder.modules.values() if (file := vars(found)["__file__"])}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a temporary file beside ``path`` that replaces it at the end; after an error, ``path`` is unchanged.

    An OSError, such as of a full disk, names ``path``.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


@contextmanager
def making_folder(path: Path) -> Iterator[None]:
    """Make a folder and its parents; after an error, remove those of them that are new and empty."""
    with removing_empty(path):
        path.mkdir(parents=True, exist_ok=True)
        yield


@contextmanager
def removing_empty(path: Path) -> Iterator[None]:
    """After an error, remove those of a folder and its parents that are new and empty."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def require_writable(path: Path) -> None:
    """An InputError if no file can be written to a folder, which may not exist yet. Leaves nothing there."""

    class Tried(Exception):
        pass

    try:
        with making_folder(path), tempfile.TemporaryFile(dir=path):
            raise Tried
    except Tried:
        pass
    except OSError as error:
        raise InputError(f"'{path}' can't be written: {error.strerror or error}") from error


@contextmanager
def only_one(lock_file: Path, work: str) -> Iterator[None]:
    """One process at a time. One that waits for long says so: ``work`` is what the other one does."""
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=SHORT_WAIT)
    except Timeout:
        print(f"waiting for another process, which {work}", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def remove_parts(folder: Path) -> None:
    """Remove the temporary files of killed processes."""
    for path in folder.rglob(f".*{PART}"):
        path.unlink()


def write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write tensors, arrays or numbers to an .npz file; its folder is made if missing."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as file:
        converted = {name: numpy.asarray(array) for name, array in arrays.items()}
        numpy.savez_compressed(file, allow_pickle=False, **converted)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def cache_folder() -> Path:
    """The environment variable ``GANS_CACHE``, in which ~ is the user's home, else the platform's cache folder of the
    user; it may not exist yet.

    It holds what is computed once per user: feature networks of further data sets, the metrics' floors, and the
    user's own images.
    """
    return Path(os.environ.get("GANS_CACHE") or user_cache_path("gans")).expanduser()
