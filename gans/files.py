"""Files: written atomically, their names, the user's cache folder, and the hash of the files of a module."""

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
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
LOCK = ".lock"
"""The file in a folder that a process locks."""
SHORT_WAIT = 0.5
"""Seconds that a process waits for another without a word."""
Format = Literal["png", "svg", "pdf"]
"""A format of figures."""


def file_name(text: str) -> str:
    """Text as the name of a file, another one for each text: "/" becomes "%2f"."""
    return re.sub(r"[%/\\]|^\.", lambda found: f"%{ord(found[0]):02x}", text)


class OwnModules(ModuleFinder):
    """Finds what a module imports. Folders without ``__init__.py`` are none of it, which ModuleFinder ends at."""

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:
        try:
            return super().find_module(name, path, parent)
        except AttributeError as error:
            raise ImportError(name) from error


@cache
def uncommitted() -> frozenset[Path]:
    """The Python files of this package that a user has added to a clone, or changed in it, since the last commit."""
    package = Path(__file__).parent

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "-C", package, *arguments], capture_output=True, check=True).stdout

    try:
        top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")).rstrip("\n"))  # it may lie in a larger repository
        entries = git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", ".").split(b"\0")
    except (OSError, subprocess.CalledProcessError):  # it is no clone
        return frozenset()
    return frozenset(top / os.fsdecode(entry[3:]) for entry in entries if entry)


def is_installed(path: Path) -> bool:
    """Whether a file or folder is Python's own, or of an installed package."""
    return STANDARD_LIBRARY in (path, *path.parents) or bool({"site-packages", "dist-packages"} & {*path.parts})


@cache
def code_sha256(module: str) -> str | None:
    """The hash of a module's Python file, and of those that it imports from the folder in which it or its package lies.

    It is of the files as they are when it is first asked for, right after the import: later changes do not run. "" for
    what is installed, which has versions, and for this package's files as they were committed; None for what is in no
    file, such as a notebook's.
    """
    top = module.partition(".")[0]
    try:
        package, own = find_spec(top), find_spec(module)
    except (ImportError, ValueError):
        return None
    if package is None or own is None:
        return None
    place = Path(next(iter(package.submodule_search_locations or ()), package.origin or "")).parent
    is_committed = top == "gans" and Path(own.origin or "").resolve() not in uncommitted()
    if is_committed or is_installed(place) or not own.has_location or own.origin is None:
        return ""
    finder = OwnModules([str(place)], excludes=["gans"])
    with suppress(ImportError, SyntaxError, ValueError):
        finder.import_hook(module)
    files = {own.origin, *filter(None, (vars(found)["__file__"] for found in finder.modules.values()))}
    contents = sorted((os.path.relpath(file, place), Path(file).read_bytes()) for file in files)
    return sha256(repr(contents).encode()).hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a temporary file beside ``path`` that replaces it at the end; after an error, ``path`` is unchanged.

    An OSError, such as of a full disk, names ``path``.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}{PART}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
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
    """After an error, remove those of a folder and its parents that are new and empty but for a lock."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):
                if os.listdir(folder) == [LOCK]:
                    (folder / LOCK).unlink()
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
